/**
 * The exact search: every live (and allowed) row is compared with the query. Rows are visited word
 * by word of the bitmap, 32 labels at a time, so that a filter which leaves little costs little.
 */
import type { Bitmap } from '../../../shared/base/bitmap.ts';
import type { Metric } from '../metric.ts';
import { TopK } from '../top-k.ts';
import type { Hits, Scan } from '../vector-index.ts';
import type { VectorTable } from './vector-table.ts';

export interface ScanTarget {
  table: VectorTable;
  metric: Metric;
  /** Labels to look at, all of them live in `table`. */
  rows: Bitmap;
  allowed?: Bitmap | undefined;
}

/** Offers the rows of one word of labels to `top`; says how many there were. */
function scanWord(target: ScanTarget, word: number, query: Float64Array, top: TopK): number {
  let bits = target.rows.words[word] ?? 0;
  if (target.allowed !== undefined) bits &= target.allowed.words[word] ?? 0;
  if (bits === 0) return 0;
  const first = word << 5;
  const { dimension } = target.table;
  const { nearness } = target.metric;
  const rows = target.table.chunkOf(first);
  const offset = target.table.offsetOf(first);
  let seen = 0;
  while (bits !== 0) {
    const bit = bits & -bits;
    bits ^= bit;
    const at = 31 - Math.clz32(bit);
    const near = nearness(rows, offset + at * dimension, query);
    if (near >= top.bar) top.offer(first + at, near);
    seen += 1;
  }
  return seen;
}

/** Offers every row of the target to `top`. */
export function scanInto(target: ScanTarget, query: Float64Array, top: TopK): void {
  const words = target.rows.words.length;
  for (let word = 0; word < words; word += 1) scanWord(target, word, query, top);
}

/**
 * The same in slices. The table may change between two steps; at the end what has been removed is
 * left out and the rest is scored again, so no hit ever carries the score of an older vector.
 */
export class ExactScan implements Scan {
  readonly #target: ScanTarget;
  readonly #query: Float64Array;
  readonly #top: TopK;
  #word = 0;

  constructor(target: ScanTarget, query: Float32Array, k: number) {
    this.#target = target;
    this.#query = Float64Array.from(query);
    this.#top = new TopK(k);
  }

  step(rowsMax: number): boolean {
    let left = rowsMax;
    while (left > 0 && this.#word < this.#target.rows.words.length) {
      // An empty word is work too, though little: 32 of them count as a row.
      left -= scanWord(this.#target, this.#word, this.#query, this.#top) + 1 / 32;
      this.#word += 1;
    }
    return this.#word >= this.#target.rows.words.length;
  }

  hits(): Hits {
    const { table, metric } = this.#target;
    const fresh = new TopK(this.#top.k);
    let gone = 0;
    for (const label of this.#top.labels()) {
      if (table.has(label)) fresh.offer(label, nearnessOf(table, metric, label, this.#query));
      else gone += 1;
    }
    const hits = fresh.hits(metric);
    return gone === 0 ? hits : { ...hits, gone };
  }
}

/** Exact nearness of one live row. */
export function nearnessOf(
  table: VectorTable,
  metric: Metric,
  label: number,
  query: Float64Array,
): number {
  return metric.nearness(table.chunkOf(label), table.offsetOf(label), query);
}
