/**
 * What writes came to, noted in the transaction of each for whoever carries it to the ledger
 * (`shared/protocol/meter.ts`): one row a write, by its version, until it is known to be in the ledger.
 *
 *   write v:  note v  --> meter-read --> ledger --> a later write says so --> note v goes
 *                     \-> undo of all above u < v: note v goes with its write
 *
 * `checksum` is CRC-32 of the other columns, with blanks between, so that a bill that the disk has changed is known.
 */
import { crc32 } from 'node:zlib';
import type Database from 'better-sqlite3';
import type { Reply } from '../../shared/protocol/messages.ts';
import type { Meter, Metered, MeteredSum } from '../../shared/protocol/meter.ts';
import { DamagedData } from './storage-errors.ts';

export type Amount = Pick<Metered, 'written' | 'deleted' | 'bytes'>;

type Columns = readonly [
  version: number,
  key: string,
  hour: number,
  written: number,
  deleted: number,
  bytes: number,
];
type Row = [...Columns, checksum: number];

/** Notes that one write takes away. It adds one, so they do not gather. */
const FORGOTTEN_MAX = 256;
/** Notes that one answer is for: about a millisecond. */
const READ_MAX = 1_024;

export class MeterRows {
  readonly #sql: ReturnType<typeof prepareStatements>;

  constructor(db: Database.Database) {
    this.#sql = prepareStatements(db);
  }

  /**
   * A write that is several commits is noted with each of them, by what it has come to. One that changes
   * nothing is not: so replicas that hold the same rows have the same notes.
   */
  record(version: number, { key, hour }: Meter, amount: Amount): void {
    if (amount.written === 0 && amount.deleted === 0) return;
    const before = this.#sql.find.get(version);
    if (before !== undefined) checkRow(before);
    const [, , , written, deleted, bytes] = before ?? NOTHING;
    const columns: Columns = [
      version,
      key,
      hour,
      written + amount.written,
      deleted + amount.deleted,
      bytes + amount.bytes,
    ];
    this.#sql.put.run(...columns, checkOf(columns));
  }

  /** Writes up to that version are in the ledger. */
  forget(upTo: number): void {
    this.#sql.forget.run(upTo, FORGOTTEN_MAX);
  }

  /** They are those of a replica that was not in sync. */
  clear(): void {
    this.undo(0);
  }

  /** Writes above that version were undone. */
  undo(after: number): void {
    this.#sql.dropAbove.run(after);
  }
}

/** What was noted of the first writes with versions above `after`, up to and with `upTo`: all that the shard
 * has up to there, unless there are `more`. */
export function readMeter(
  db: Database.Database,
  { after, upTo }: { after: number; upTo: number },
): Reply<'meter-read'> {
  const select = db
    .prepare<[number, number, number], Row>(
      `SELECT version, key, hour, written, deleted, bytes, checksum FROM metered
        WHERE version > ? AND version <= ? ORDER BY version LIMIT ?`,
    )
    .raw();
  const rows = select.all(after, upTo, READ_MAX);
  const sums = new Map<string, MeteredSum>();
  for (const row of rows) {
    checkRow(row);
    const [, key, hour, written, deleted, bytes] = row;
    const place = `${hour} ${key}`;
    const sum = sums.get(place) ?? { key, hour, writes: 0, written: 0, deleted: 0, bytes: 0 };
    sum.writes += 1;
    sum.written += written;
    sum.deleted += deleted;
    sum.bytes += bytes;
    sums.set(place, sum);
  }
  const [last = after] = rows.at(-1) ?? [];
  const more = rows.length === READ_MAX;
  return { sums: [...sums.values()], upTo: more ? last : Math.max(after, upTo), more };
}

export function newestNote(db: Database.Database): number {
  return db.prepare<[], number>('SELECT ifnull(max(version), 0) FROM metered').pluck().get() ?? 0;
}

const NOTHING: Row = [0, '', 0, 0, 0, 0, 0];

function checkOf(columns: Columns): number {
  return crc32(columns.join(' '));
}

function checkRow([version, key, hour, written, deleted, bytes, check]: Row): void {
  if (checkOf([version, key, hour, written, deleted, bytes]) === check) return;
  throw new DamagedData('a note of what a write came to');
}

function prepareStatements(db: Database.Database) {
  return {
    find: db
      .prepare<[number], Row>(
        `SELECT version, key, hour, written, deleted, bytes, checksum FROM metered WHERE version = ?`,
      )
      .raw(),
    put: db.prepare<[number, string, number, number, number, number, number]>(
      `INSERT OR REPLACE INTO metered (version, key, hour, written, deleted, bytes, checksum)
         VALUES (?, ?, ?, ?, ?, ?, ?)`,
    ),
    forget: db.prepare<[number, number]>(
      `DELETE FROM metered WHERE version IN
         (SELECT version FROM metered WHERE version <= ? ORDER BY version LIMIT ?)`,
    ),
    dropAbove: db.prepare<[number]>('DELETE FROM metered WHERE version > ?'),
  };
}
