/** The statements of a shard's writer, prepared once a connection. */
import type Database from 'better-sqlite3';

const PAYLOAD_BYTES = 'ifnull(length(payload), 0)';

export type RowStatements = ReturnType<typeof prepareRowStatements>;

export function prepareRowStatements(db: Database.Database) {
  /** Statements that answer with one column of one row. */
  const one = <Params extends unknown[], Value>(sql: string) =>
    db.prepare<Params, Value>(sql).pluck();
  return {
    /** The length stands at the head of the row: the payload itself is not read. */
    find: db
      .prepare<[Buffer], [label: number, payloadBytes: number]>(
        `SELECT label, ${PAYLOAD_BYTES} FROM points WHERE id = ?`,
      )
      .raw(),
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
    findByLabel: db
      .prepare<[number], [id: Buffer, payloadBytes: number]>(
        `SELECT id, ${PAYLOAD_BYTES} FROM points WHERE label = ?`,
      )
      .raw(),
    /** `RETURNING` would copy the payload to count it; to look first takes less. */
    delete: db.prepare<[number]>('DELETE FROM points WHERE label = ?'),
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
