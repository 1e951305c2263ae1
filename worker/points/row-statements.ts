/** The statements of a shard's writer, prepared once a connection. */
import type Database from 'better-sqlite3';

const PAYLOAD_BYTES = 'ifnull(length(payload), 0)';

const PAYLOAD_ROW = 'SELECT label, id, version, payload_check, payload FROM points';
export type PayloadRow = [
  label: number,
  id: Buffer,
  version: number,
  payloadCheck: number,
  payload: Buffer | null,
];

export type RowStatements = ReturnType<typeof prepareRowStatements>;

export function prepareRowStatements(db: Database.Database) {
  /** Statements that answer with one column of one row. */
  const one = <Params extends unknown[], Value>(sql: string) =>
    db.prepare<Params, Value>(sql).pluck();
  return {
    /** The length stands at the head of the row: the payload itself is not read. */
    find: db
      .prepare<
        [Buffer],
        [label: number, payloadBytes: number, version: number, payloadCheck: number]
      >(`SELECT label, ${PAYLOAD_BYTES}, version, payload_check FROM points WHERE id = ?`)
      .raw(),
    insert: db.prepare<[number, Buffer, number, number, number, Buffer | null, Buffer]>(
      `INSERT INTO points (label, id, version, payload_check, vector_check, payload, vector)
         VALUES (?, ?, ?, ?, ?, ?, ?)`,
    ),
    replace: db.prepare<[number, number, number, Buffer | null, Buffer, number]>(
      `UPDATE points SET version = ?, payload_check = ?, vector_check = ?, payload = ?, vector = ?
         WHERE label = ?`,
    ),
    replaceVector: db.prepare<[number, number, number, Buffer, number]>(
      `UPDATE points SET version = ?, payload_check = ?, vector_check = ?, vector = ?
         WHERE label = ?`,
    ),
    replacePayload: db.prepare<[number, number, Buffer | null, number]>(
      'UPDATE points SET version = ?, payload_check = ?, payload = ? WHERE label = ?',
    ),
    payloadById: db.prepare<[Buffer], PayloadRow>(`${PAYLOAD_ROW} WHERE id = ?`).raw(),
    payloadByLabel: db.prepare<[number], PayloadRow>(`${PAYLOAD_ROW} WHERE label = ?`).raw(),
    findByLabel: db
      .prepare<[number], [id: Buffer, payloadBytes: number, version: number]>(
        `SELECT id, ${PAYLOAD_BYTES}, version FROM points WHERE label = ?`,
      )
      .raw(),
    /** `RETURNING` would copy the payload to count it; to look first takes less. */
    delete: db.prepare<[number]>('DELETE FROM points WHERE label = ?'),
    addFreeLabel: db.prepare<[number]>('INSERT INTO free_labels (label) VALUES (?)'),
    dropFreeLabel: db.prepare<[number]>('DELETE FROM free_labels WHERE label = ?'),
    takeFreeLabel: one<[], number>(
      `DELETE FROM free_labels WHERE label = (SELECT min(label) FROM free_labels)
       RETURNING label`,
    ),
    addTombstone: db.prepare<[Buffer, number]>(
      'INSERT INTO tombstones (id, version) VALUES (?, ?)',
    ),
    renewTombstone: db.prepare<[number, Buffer]>(
      'UPDATE tombstones SET version = max(version, ?) WHERE id = ?',
    ),
    dropTombstone: db.prepare<[Buffer]>('DELETE FROM tombstones WHERE id = ?'),
    tombstoneVersionAt: one<[number], number>(
      'SELECT version FROM tombstones ORDER BY version LIMIT 1 OFFSET ?',
    ),
    pruneTombstones: db.prepare<[number]>('DELETE FROM tombstones WHERE version <= ?'),
    countRows: db
      .prepare<[], [points: number, payloadBytes: number, nextLabel: number]>(
        `SELECT count(*), ifnull(sum(length(payload)), 0), ifnull(max(label) + 1, 0) FROM points`,
      )
      .raw(),
    countTombstones: one<[], number>('SELECT count(*) FROM tombstones'),
    allVersions: db.prepare<[], [Buffer, number]>('SELECT id, version FROM points').raw(),
    clearFreeLabels: db.prepare<[]>('DELETE FROM free_labels'),
    /** The numbers below the highest label that no row has; without rows that one is null. */
    findFreeLabels: db.prepare<[]>(
      `WITH RECURSIVE numbers (label) AS
         (SELECT max(label) FROM points
           UNION ALL SELECT label - 1 FROM numbers WHERE label > 0)
       INSERT INTO free_labels
         SELECT label FROM numbers WHERE label >= 0 AND label NOT IN (SELECT label FROM points)`,
    ),
  };
}
