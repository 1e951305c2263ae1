import type Database from 'better-sqlite3';

/**
 * Everything that stands in the tables of a database, as one text; the same for the same rows, whatever
 * their order. `masked` are columns that do not count. Throws when the file is not sound.
 */
export function dumpTables(database: Database.Database, masked: Record<string, 0> = {}): string {
  const isSound = database.pragma('integrity_check', { simple: true }) === 'ok';
  const broken = database.pragma('foreign_key_check') as unknown[];
  if (!isSound || broken.length > 0) throw new Error(`${database.name} is not sound`);
  const names = database
    .prepare<[], string>(`SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name`)
    .pluck()
    .all();
  const tables = names.map((name) => {
    const rows = database.prepare<[], Record<string, unknown>>(`SELECT * FROM ${name}`).all();
    const texts = rows.map((row) => JSON.stringify({ ...row, ...masked }));
    return `${name}: ${texts.toSorted().join('\n  ')}`;
  });
  return tables.join('\n');
}
