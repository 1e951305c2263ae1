/**
 * The exact search in slices over a kernel's memory: labels word by word, their float rows scored
 * by the kernel in batches. The index may change (and move to another memory) between two steps.
 */
import { must } from '../../../shared/base/assert.ts';
import type { Bitmap } from '../../../shared/base/bitmap.ts';
import type { Metric } from '../metric.ts';
import { TopK } from '../top-k.ts';
import type { Hits, Scan, VectorsOf } from '../vector-index.ts';
import { SCAN_BATCH as BATCH, NONE } from './layout.ts';
import type { KernelMemory } from './memory.ts';

export interface ScanSource {
  live: Bitmap;
  memory(): KernelMemory;
  slotOf(label: number): number;
  vectorsOf: VectorsOf | undefined;
}

export interface Wanted {
  query: Float32Array;
  k: number;
  allowed: Bitmap | undefined;
}

export class KernelScan implements Scan {
  readonly #source: ScanSource;
  readonly #metric: Metric;
  readonly #wanted: Wanted;
  readonly #top: TopK;
  readonly #batch = new Uint32Array(BATCH);
  #query: Float64Array | undefined;
  #word = 0;

  constructor(source: ScanSource, metric: Metric, wanted: Wanted) {
    this.#source = source;
    this.#metric = metric;
    this.#wanted = { ...wanted, query: wanted.query.slice() };
    this.#top = new TopK(wanted.k);
  }

  step(rowsMax: number): boolean {
    const { words } = this.#source.live;
    const allowed = this.#wanted.allowed?.words;
    let left = rowsMax;
    let size = 0;
    while (left > 0 && this.#word < words.length) {
      let bits = words[this.#word] as number;
      if (allowed !== undefined) bits &= allowed[this.#word] ?? 0;
      const first = this.#word << 5;
      this.#word += 1;
      // An empty word is work too, though little: 32 of them count as a row.
      left -= 1 / 32;
      while (bits !== 0) {
        const bit = bits & -bits;
        bits ^= bit;
        this.#batch[size] = first + 31 - Math.clz32(bit);
        size += 1;
        left -= 1;
      }
      if (size <= BATCH - 32) continue;
      this.#score(this.#top, this.#batch, size);
      size = 0;
    }
    this.#score(this.#top, this.#batch, size);
    return this.#word >= words.length;
  }

  /** What has been removed since it was seen is left out, what was replaced has its new score. */
  hits(): Hits {
    const seen = this.#top.labels();
    const labels = seen.filter((label) => this.#source.slotOf(label) !== NONE);
    const fresh = new TopK(this.#top.k);
    for (let at = 0; at < labels.length; at += BATCH) {
      const batch = Uint32Array.from(labels.slice(at, at + BATCH));
      this.#score(fresh, batch, batch.length);
    }
    const hits = fresh.hits(this.#metric);
    const gone = seen.length - labels.length;
    return gone === 0 ? hits : { ...hits, gone };
  }

  #score(top: TopK, labels: Uint32Array, size: number): void {
    if (size === 0) return;
    const memory = this.#source.memory();
    if (memory.isTiny || !memory.hasRaw) {
      this.#scoreHere(top, labels.subarray(0, size));
      return;
    }
    const list = memory.slotList;
    for (let at = 0; at < size; at += 1) {
      list[at] = this.#source.slotOf(labels[at] as number);
    }
    memory.setQuery(this.#wanted.query);
    memory.kernel.exactSlots(size);
    for (let at = 0; at < size; at += 1) {
      const near = memory.resultNear(at);
      if (near >= top.bar) top.offer(labels[at] as number, near);
    }
  }

  /** The same scores, without the kernel. */
  #scoreHere(top: TopK, labels: Uint32Array): void {
    const memory = this.#source.memory();
    this.#query ??= Float64Array.from(this.#wanted.query);
    const rows = memory.hasRaw
      ? Array.from(labels, (label) => memory.raw(this.#source.slotOf(label)))
      : must(this.#source.vectorsOf, 'floats are kept or read from rows')(labels);
    for (const [at, label] of labels.entries()) {
      const row = rows[at];
      // Its delete is committed and not applied yet.
      if (row === undefined) continue;
      top.offer(label, this.#metric.nearness(row, 0, this.#query));
    }
  }
}
