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
 * What was forgotten may stand in memory until its generation goes; `purge` sees to that.
 */
import { assert } from '../../shared/base/assert.ts';
import type { PayloadBytes } from '../../shared/domain/point.ts';
import type { PointRow, PointsReader, Want } from '../points/points-reader.ts';

/** Rows take so much of what the index takes. */
const SHARE_OF_INDEX = 1 / 8;
const BYTES_MIN = 64 * 1024;
const BYTES_MAX = 64 * 2 ** 20;
/** What a row takes beside its payload, measured. */
const ROW_BYTES = 250;
/** Payloads stand in blocks: memory of its own for each would take as much again as a short one. */
const BLOCK_BYTES = 64 * 1024;
/** A longer one has memory of its own after all, so that little of a block is left over. */
const SHORT_BYTES = BLOCK_BYTES / 8;
/** Longer lists are walks through the shard; they would push out what searches ask for. */
const LABELS_MAX = 256;

type RowReader = Pick<PointsReader, 'byLabels'>;

export class RecentRows {
  readonly #reader: () => RowReader;
  readonly #indexBytes: () => number;
  #young = new Generation();
  #old = new Generation();
  #writes = 0;
  /** Whether rows were forgotten since all were. */
  #stale = false;

  constructor(parts: { reader: () => RowReader; indexBytes: () => number }) {
    this.#reader = parts.reader;
    this.#indexBytes = parts.indexBytes;
  }

  get bytes(): number {
    return this.#young.bytes + this.#old.bytes;
  }

  /** `PointsReader.byLabels`: one entry a label, in the order given, for the first of them. */
  byLabels(labels: readonly number[], want: Want): (PointRow | undefined)[] {
    if (want.vector || this.#writes > 0 || labels.length > LABELS_MAX) {
      return this.#reader().byLabels(labels, want);
    }
    const entries = labels.map((label) => this.#get(keyOf(label, want)));
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
      if (row !== undefined) this.#put(keyOf(row.label, want), row);
    }
    return entries;
  }

  /** To be called before a write is sent; what it returns, when its outcome is known. */
  startWrite(): (changed: Iterable<number>) => void {
    this.#writes += 1;
    return (changed) => {
      assert(this.#writes > 0, 'a write ends once');
      this.#writes -= 1;
      for (const label of changed) this.#forget(label);
    };
  }

  /** To be called when memory is level with the rows and no write is under way. */
  reset(): void {
    this.#drop();
    this.#writes = 0;
  }

  /** Lets go of all memory that rows stand in which were changed or deleted. */
  purge(): void {
    if (this.#stale) this.#drop();
  }

  #drop(): void {
    this.#young = new Generation();
    this.#old = new Generation();
    this.#stale = false;
  }

  #get(key: number): PointRow | undefined {
    const young = this.#young.get(key);
    if (young !== undefined) return young;
    const row = this.#old.take(key);
    if (row !== undefined) this.#put(key, row);
    return row;
  }

  #put(key: number, row: PointRow): void {
    const bytesMax = this.#bytesMax;
    const share = bytesMax / 2;
    if (bytesMax < BYTES_MIN || bytesOf(row) > share) return;
    if (this.#young.bytes + bytesOf(row) > share) {
      this.#old = this.#young;
      this.#young = new Generation();
    }
    this.#young.put(key, row);
  }

  get #bytesMax(): number {
    return Math.min(BYTES_MAX, this.#indexBytes() * SHARE_OF_INDEX);
  }

  #forget(label: number): void {
    for (const generation of [this.#young, this.#old]) {
      for (const payload of [true, false]) {
        if (generation.take(keyOf(label, { payload })) !== undefined) this.#stale = true;
      }
    }
  }
}

class Generation {
  readonly #rows = new Map<number, PointRow>();
  #block = Buffer.alloc(0);
  #blockEnd = 0;
  /** With those of the rows that were taken: they may share a block with others. */
  bytes = 0;

  get(key: number): PointRow | undefined {
    return this.#rows.get(key);
  }

  /** Keeps a copy, under a key that it does not have. */
  put(key: number, row: PointRow): void {
    this.#rows.set(key, { ...row, payload: row.payload && this.#copy(row.payload) });
    this.bytes += bytesOf(row);
  }

  take(key: number): PointRow | undefined {
    const row = this.#rows.get(key);
    if (row !== undefined) this.#rows.delete(key);
    return row;
  }

  #copy(payload: PayloadBytes): PayloadBytes {
    if (payload.length > SHORT_BYTES) return new Uint8Array(payload);
    if (this.#blockEnd + payload.length > this.#block.length) {
      this.#block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
      this.#blockEnd = 0;
    }
    const start = this.#blockEnd;
    this.#blockEnd += payload.length;
    this.#block.set(payload, start);
    return this.#block.subarray(start, this.#blockEnd);
  }
}

/** Rows with and without their payloads are different things. */
function keyOf(label: number, { payload }: Pick<Want, 'payload'>): number {
  return 2 * label + (payload ? 1 : 0);
}

function bytesOf({ payload }: PointRow): number {
  return ROW_BYTES + (payload?.length ?? 0);
}
