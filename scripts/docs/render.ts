import { documentTables } from './tables.ts';

/**
 * The document with its generated tables filled in, between `<!-- generated:NAME -->` and
 * `<!-- end -->`. Throws for a table that nobody generates.
 */
export function renderDocument(name: string, text: string): string {
  const tables = documentTables();
  return text.replace(
    /(<!-- generated:([a-z-]+) -->\n)[\s\S]*?(<!-- end -->)/g,
    (_, start: string, table: string, end: string) => {
      const rows = tables[table];
      if (rows === undefined) throw new Error(`${name}: there is no table "${table}"`);
      return `${start}${rows.join('\n')}\n${end}`;
    },
  );
}
