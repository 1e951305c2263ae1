/**
 * What writes that may be undone have changed, as it was before: one image a changed row, written in the
 * transaction of the change. An image is the whole row, or says that there was none, with the
 * version of the tombstone that stood there.
 *
 *   write v:  image of each row, in order  --> undo of all above v: put back, the newest first
 *                                          \-> v has its outcome: images up to v are dropped
 *
 * Put back in that order, each finds the state that it was taken from but for its own change, labels
 * included. Images stand in the order of versions, since writes do.
 */
import type Database from 'better-sqlite3';

export interface UndoImage {
  seq: number;
  key: Buffer;
  label: number;
  /** Null when there was no row. */
  oldVersion: number | null;
  payloadBytes: number;
  /** Version of the tombstone that stood there; null for none. */
  tombstone: number | null;
}

/** Images that one write drops, beside twice as many as it makes: so they do not gather. */
const DROPPED_MAX = 1_000;
const PAGE_IMAGES = 256;

export class UndoLog {
  readonly #sql: ReturnType<typeof prepareStatements>;
  #kept = 0;

  constructor(db: Database.Database) {
    this.#sql = prepareStatements(db);
  }

  /** The row with this label is about to be changed or deleted by that write. */
  keepRow(version: number, label: number): void {
    this.#sql.keepRow.run(version, label);
    this.#kept += 1;
  }

  /** A row is about to come to be with this label. */
  keepNone(version: number, label: number, key: Buffer): void {
    this.#sql.keepNone.run(version, key, label, key);
    this.#kept += 1;
  }

  /** Writes up to that version are not undone any more. */
  settle(upTo: number): void {
    this.#sql.settle.run(upTo, DROPPED_MAX + 2 * this.#kept);
    this.#kept = 0;
  }

  /** Images of writes above that version, the newest first, some at a time; drop each. */
  newest(after: number): UndoImage[] {
    return this.#sql.newest.all(after, PAGE_IMAGES);
  }

  /** The row of the image, at a label that no row has. */
  insertRow({ seq }: UndoImage): void {
    this.#sql.insertRow.run(seq);
  }

  /** The same for a label that has the row as it became. */
  replaceRow({ seq, label }: UndoImage): void {
    this.#sql.replaceRow.run(seq, label);
  }

  drop({ seq }: UndoImage): void {
    this.#sql.drop.run(seq);
  }
}

/** Whether there are images of writes up to that version. */
export function hasImages(db: Database.Database, upTo: number): boolean {
  const sql = 'SELECT EXISTS (SELECT 1 FROM undo WHERE version <= ?)';
  return db.prepare<[number], number>(sql).pluck().get(upTo) === 1;
}

function prepareStatements(db: Database.Database) {
  return {
    keepRow: db.prepare<[number, number]>(
      `INSERT INTO undo (version, id, label, old_version, payload_check, vector_check, payload, vector)
         SELECT ?, id, label, version, payload_check, vector_check, payload, vector FROM points WHERE label = ?`,
    ),
    keepNone: db.prepare<[number, Buffer, number, Buffer]>(
      `INSERT INTO undo (version, id, label, tombstone)
         VALUES (?, ?, ?, (SELECT version FROM tombstones WHERE id = ?))`,
    ),
    settle: db.prepare<[number, number]>(
      `DELETE FROM undo WHERE seq IN
         (SELECT seq FROM undo INDEXED BY undo_by_version WHERE version <= ? LIMIT ?)`,
    ),
    newest: db.prepare<[number, number], UndoImage>(
      `SELECT seq, id AS key, label, old_version AS oldVersion,
              ifnull(length(payload), 0) AS payloadBytes, tombstone
         FROM undo WHERE version > ? ORDER BY seq DESC LIMIT ?`,
    ),
    insertRow: db.prepare<[number]>(
      `INSERT INTO points (label, id, version, payload_check, vector_check, payload, vector)
         SELECT label, id, old_version, payload_check, vector_check, payload, vector FROM undo WHERE seq = ?`,
    ),
    replaceRow: db.prepare<[number, number]>(
      `UPDATE points SET (version, payload_check, vector_check, payload, vector) =
         (SELECT old_version, payload_check, vector_check, payload, vector FROM undo WHERE seq = ?) WHERE label = ?`,
    ),
    drop: db.prepare<[number]>('DELETE FROM undo WHERE seq = ?'),
  };
}
