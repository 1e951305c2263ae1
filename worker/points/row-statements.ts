/** The statements of a shard's writer, prepared once a connection. */
import type Database from 'better-sqlite3';

export type RowStatements = ReturnType<typeof prepareRowStatements>;

export function prepareRowStatements(db: Database.Database) {
  /** Statements that answer with one column of one row. */
  const one = <Params extends unknown[], Value>(sql: string) =>
    db.prepare<Params, Value>(sql).pluck();
  return {
    findLabel: one<[Buffer], number>('SELECT label FROM points WHERE id = ?'),
    insert: db.prepare<[number, Buffer, number, Buffer | null, Buffer]>(
      'INSERT INTO points (label, id, version, payload, vector) VALUES (?, ?, ?, ?, ?)',
    ),
    replace: db.prepare<[number, Buffer | null, Buffer, number]>(
      'UPDATE points SET version = ?, payload = ?, vector = ? WHERE label = ?',
    ),
    replaceVector: one<[number, Buffer, Buffer], number>(
      'UPDATE points SET version = ?, vector = ? WHERE id = ? RETURNING label',
    ),
    replacePayload: db.prepare<[number, Buffer | null, number]>(
      'UPDATE points SET version = ?, payload = ? WHERE label = ?',
    ),
    payloadById: db
      .prepare<[Buffer], [number, Buffer | null]>('SELECT label, payload FROM points WHERE id = ?')
      .raw(),
    payloadByLabel: db
      .prepare<[number], [number, Buffer | null]>(
        'SELECT label, payload FROM points WHERE label = ?',
      )
      .raw(),
    deleteById: one<[Buffer], number>('DELETE FROM points WHERE id = ? RETURNING label'),
    deleteByLabel: one<[number], Buffer>('DELETE FROM points WHERE label = ? RETURNING id'),
    addFreeLabel: db.prepare<[number]>('INSERT INTO free_labels (label) VALUES (?)'),
    takeFreeLabel: one<[], number>(
      `DELETE FROM free_labels WHERE label = (SELECT min(label) FROM free_labels)
       RETURNING label`,
    ),
    addTombstone: db.prepare<[Buffer, number]>(
      'INSERT INTO tombstones (id, version) VALUES (?, ?)',
    ),
    dropTombstone: db.prepare<[Buffer]>('DELETE FROM tombstones WHERE id = ?'),
    tombstoneVersionAt: one<[number], number>(
      'SELECT version FROM tombstones ORDER BY version LIMIT 1 OFFSET ?',
    ),
    pruneTombstones: db.prepare<[number]>('DELETE FROM tombstones WHERE version <= ?'),
    readCounter: one<[string], number>('SELECT value FROM meta WHERE key = ?'),
    saveCounter: db.prepare<[number, string]>('UPDATE meta SET value = ? WHERE key = ?'),
  };
}
