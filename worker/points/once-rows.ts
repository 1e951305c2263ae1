/**
 * Which writes that take effect once were done. A row is written in the transaction of its write: after
 * a crash both are there or neither is, so a write that is sent again because its answer was lost
 * finds out, whatever died when. It is forgotten a day after the first use of its key, by the time
 * that the newest such write gives, not by a clock: so replicas agree on what is forgotten.
 */
import type Database from 'better-sqlite3';
import { AppError } from '../../shared/errors/app-error.ts';
import {
  ONCE_KEPT_MS,
  type Once,
  type OnceMark,
  type OnceRow,
  type OnceSpan,
} from '../../shared/protocol/once.ts';

/** Old rows that one write takes away. It adds one, so they do not gather. */
const FORGOTTEN_MAX = 16;

export class OnceRows {
  readonly #sql: ReturnType<typeof prepareStatements>;

  constructor(db: Database.Database) {
    this.#sql = prepareStatements(db);
  }

  /** The version of the write that was done under the key. Throws `conflict` when that was another. */
  find({ key, request, at }: Once): number | undefined {
    const found = this.#sql.find.get(key, at - ONCE_KEPT_MS);
    if (found === undefined) return undefined;
    const [version, done] = found;
    if (done.equals(request)) return version;
    throw new AppError('conflict', 'another write was done under this Idempotency-Key');
  }

  record({ key, request, at }: Once, version: number): void {
    this.#sql.put.run(key, request, version, at);
    this.#sql.forget.run(at - ONCE_KEPT_MS, FORGOTTEN_MAX);
  }

  /** Writes above that version were undone. */
  undo(after: number): void {
    this.#sql.dropAbove.run(after);
  }

  /** Makes the rows of the span what they are at another replica. */
  level({ after, until, rows }: OnceSpan): void {
    const from = [after.version, after.key] as const;
    if (until === null) this.#sql.dropAfter.run(...from);
    else this.#sql.dropBetween.run(...from, until.version, until.key);
    for (const { key, request, version, at } of rows) this.#sql.put.run(key, request, version, at);
  }
}

/** Those after a place, in the order of version and key. */
export function onceRowsAfter(
  db: Database.Database,
  { version, key }: OnceMark,
  limit: number,
): OnceRow[] {
  const statement = db.prepare<[number, Uint8Array, number], OnceRow>(
    `SELECT key, request, version, at FROM once INDEXED BY once_by_version
      WHERE (version, key) > (?, ?) ORDER BY version, key LIMIT ?`,
  );
  return statement.all(version, key, limit);
}

type Mark = [version: number, key: Uint8Array];

function prepareStatements(db: Database.Database) {
  return {
    find: db
      .prepare<[Uint8Array, number], [version: number, request: Buffer]>(
        'SELECT version, request FROM once WHERE key = ? AND at > ?',
      )
      .raw(),
    put: db.prepare<[Uint8Array, Uint8Array, number, number]>(
      'INSERT OR REPLACE INTO once (key, request, version, at) VALUES (?, ?, ?, ?)',
    ),
    forget: db.prepare<[number, number]>(
      'DELETE FROM once WHERE key IN (SELECT key FROM once WHERE at <= ? ORDER BY at LIMIT ?)',
    ),
    dropAbove: db.prepare<[number]>('DELETE FROM once WHERE version > ?'),
    dropAfter: db.prepare<Mark>('DELETE FROM once WHERE (version, key) > (?, ?)'),
    dropBetween: db.prepare<[...Mark, ...Mark]>(
      'DELETE FROM once WHERE (version, key) > (?, ?) AND (version, key) <= (?, ?)',
    ),
  };
}
