/**
 * Fills the generated tables of docs/*.md from the code that they list, between
 * `<!-- generated:NAME -->` and `<!-- end -->`. `--check` writes nothing and fails when a document
 * is out of date; the tidy tests run it that way.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { documentTables } from './docs/tables.ts';

const folder = path.join(import.meta.dirname, '..', 'docs');
const check = process.argv.includes('--check');
const tables = documentTables();
const stale: string[] = [];

for (const name of readdirSync(folder).filter((file) => file.endsWith('.md'))) {
  const file = path.join(folder, name);
  const before = readFileSync(file, 'utf8');
  const after = before.replace(
    /(<!-- generated:([a-z-]+) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_, start: string, table: string, end: string) => {
      const rows = tables[table];
      if (rows === undefined) throw new Error(`${name}: there is no table "${table}"`);
      return `${start}${rows.join('\n')}\n${end}`;
    },
  );
  if (after === before) continue;
  stale.push(name);
  if (!check) writeFileSync(file, after);
}

if (check && stale.length > 0) {
  console.error(`out of date: ${stale.join(', ')}; run: npm run docs`);
  process.exitCode = 1;
}
