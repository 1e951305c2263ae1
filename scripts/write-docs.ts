/** Fills the generated tables of docs/*.md from the code that they list. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { renderDocument } from './docs/render.ts';

const folder = path.join(import.meta.dirname, '..', 'docs');
for (const name of readdirSync(folder).filter((file) => file.endsWith('.md'))) {
  const file = path.join(folder, name);
  writeFileSync(file, renderDocument(name, readFileSync(file, 'utf8')));
}
