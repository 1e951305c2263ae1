/**
 * Rows that searches lately answered with. Reading ten rows from `points.db` costs a search as much
 * as finding them, and what is asked for is often what was asked for before.
 *
 * A row here is the one that was committed last, or is not used:
 *
 *   write sent --> commit (writer thread) --> outcome names the labels --> applied --> acknowledged
 *   |------- rows are read from points.db ------|
 *                                               forgotten; what is read from here on is newer
 *
 * While a write is under way nobody here knows whether its rows are committed, and a read that
 * shows the new row must not be followed by one that shows the old. A write that ended without
 * saying whether it was committed stays under way until the shard has caught up (`reset`).
 *
 * Two generations stand in for an order of use: what is read goes to the young one, and when that
 * has its share of the bytes it becomes the old one, whose rows are dropped unless they are read
 * again. Nothing is kept for an index that is small: its whole database is a few pages.
 *
 * What was forgotten may stand in memory until its generation goes; `purge` sees to that. A search
 * of rows that nobody asked for lately takes as long as it would without this.
 */
import { assert } from '../../shared/base/assert.ts';
import type { PayloadBytes } from '../../shared/domain/point.ts';
import type { PointRow, PointsReader, Want } from '../points/points-reader.ts';

/** Rows take so much of what the index takes at most. */
const SHARE_OF_INDEX = 1 / 8;
const BYTES_MIN = 64 * 1024;
const BYTES_MAX = 64 * 2 ** 20;
/** What a row takes beside its payload, measured. */
const ROW_BYTES = 250;
/**
 * Payloads stand in blocks: memory of its own for each would take as much again as a short one. A
 * block is a part of its generation's share, and longer payloads than a part of that stand alone.
 */
const BLOCK_SHARE = 1 / 8;
const BLOCK_BYTES_MAX = 64 * 1024;
const SHORT_SHARE = 1 / 8;
/** Rows that are forgotten one by one; after a larger write all are. */
const FORGOTTEN_MAX = 1_000;

/** Longer lists are walks through the shard, and would push out what searches ask for. */
export const RECENT_LABELS_MAX = 256;

type RowReader = Pick<PointsReader, 'byLabels'>;

export class RecentRows {
  readonly #reader: () => RowReader;
  readonly #indexBytes: () => number;
  #young = NOTHING;
  #old = NOTHING;
  #writes = 0;
  /** Whether rows were forgotten that may still stand in memory. */
  #stale = false;

  constructor(parts: { reader: () => RowReader; indexBytes: () => number }) {
    this.#reader = parts.reader;
    this.#indexBytes = parts.indexBytes;
  }

  get bytes(): number {
    return this.#young.bytes + this.#old.bytes;
  }

  /**
   * `PointsReader.byLabels`: one entry a label, in the order given, for the first of them. The labels
   * are distinct.
   */
  byLabels(labels: readonly number[], want: Want): (PointRow | undefined)[] {
    if (want.vector || this.#writes > 0) return this.#reader().byLabels(labels, want);
    const entries = labels.map((label) => this.#get(keyOf(label, want.payload)));
    const missing = labels.filter((_, i) => entries[i] === undefined);
    if (missing.length === 0) return entries;
    const read = this.#reader().byLabels(missing, want);
    let next = 0;
    for (const [i, entry] of entries.entries()) {
      if (entry !== undefined) continue;
      if (next === read.length) return entries.slice(0, i);
      const row = read[next];
      next += 1;
      entries[i] = row;
      if (row !== undefined) this.#put(keyOf(row.label, want.payload), row);
    }
    return entries;
  }

  /** To be called before a write is sent; what it returns, when its outcome is known. */
  startWrite(): (changed: ArrayLike<number>) => void {
    this.#writes += 1;
    return (changed) => {
      assert(this.#writes > 0, 'a write ends once');
      this.#writes -= 1;
      this.#forget(changed);
    };
  }

  /**
   * To be called when memory is level with the rows. No write may be under way: those that ended
   * without an outcome are counted no more.
   */
  reset(): void {
    this.#drop();
    this.#writes = 0;
  }

  /** Lets go of all memory that rows stand in which were changed or deleted, or that is too much. */
  purge(): void {
    if (this.#stale || this.bytes > this.#bytesMax) this.#drop();
  }

  #drop(): void {
    this.#young = NOTHING;
    this.#old = NOTHING;
    this.#stale = false;
  }

  #get(key: number): PointRow | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const row = this.#old.get(key);
    if (row !== undefined) this.#put(key, row);
    return row;
  }

  #put(key: number, row: PointRow): void {
    const bytesMax = this.#bytesMax;
    if (this.bytes > bytesMax) this.#drop();
    const share = bytesMax / 2;
    if (bytesMax < BYTES_MIN || ROW_BYTES + lengthOf(row) > share) return;
    if (this.#young.put(key, row)) return;
    this.#old = this.#young;
    this.#young = new Generation(share);
    this.#young.put(key, row);
  }

  get #bytesMax(): number {
    return Math.min(BYTES_MAX, this.#indexBytes() * SHARE_OF_INDEX);
  }

  #forget(labels: ArrayLike<number>): void {
    if (this.bytes === 0) return;
    if (labels.length > FORGOTTEN_MAX) {
      this.#drop();
      return;
    }
    for (let i = 0; i < labels.length; i += 1) {
      const label = labels[i] as number;
      const young = this.#young.forget(label);
      if (this.#old.forget(label) || young) this.#stale = true;
    }
  }
}

/** Rows that are let go of together. */
class Generation {
  /** What its memory takes, that of forgotten rows too. */
  bytes = 0;
  readonly #rows = new Map<number, PointRow>();
  readonly #bytesMax: number;
  readonly #blockBytes: number;
  #block = Buffer.alloc(0);
  #blockEnd = 0;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
    this.#blockBytes = Math.min(BLOCK_BYTES_MAX, Math.floor(bytesMax * BLOCK_SHARE));
  }

  get(key: number): PointRow | undefined {
    return this.#rows.get(key);
  }

  /** Keeps a copy, if there is room for it. */
  put(key: number, row: PointRow): boolean {
    const length = lengthOf(row);
    const isShort = length <= this.#blockBytes * SHORT_SHARE;
    const fits = isShort && this.#blockEnd + length <= this.#block.length;
    const bytes = ROW_BYTES + (fits ? 0 : isShort ? this.#blockBytes : length);
    if (this.bytes + bytes > this.#bytesMax) return false;
    this.bytes += bytes;
    if (isShort && !fits) {
      this.#block = Buffer.allocUnsafeSlow(this.#blockBytes);
      this.#blockEnd = 0;
    }
    this.#rows.set(key, { ...row, payload: row.payload && this.#copy(row.payload, isShort) });
    return true;
  }

  /** Whether it had the row. */
  forget(label: number): boolean {
    const withPayload = this.#rows.delete(keyOf(label, true));
    return this.#rows.delete(keyOf(label, false)) || withPayload;
  }

  #copy(payload: PayloadBytes, intoBlock: boolean): PayloadBytes {
    if (!intoBlock) return new Uint8Array(payload);
    const start = this.#blockEnd;
    this.#blockEnd += payload.length;
    this.#block.set(payload, start);
    return this.#block.subarray(start, this.#blockEnd);
  }
}

/** Takes no row, so that all shards can begin with it: most of many small ones never need more. */
const NOTHING = new Generation(0);

/** Rows with and without their payloads are different things. */
function keyOf(label: number, payload: boolean): number {
  return 2 * label + (payload ? 1 : 0);
}

function lengthOf({ payload }: PointRow): number {
  return payload?.length ?? 0;
}
