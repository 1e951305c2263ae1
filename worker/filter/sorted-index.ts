/**
 * Numbers -> labels in order, for ranges. A list of chunks, each an ascending run of at most
 * `CHUNK_PAIRS` pairs, the chunks ascending too:
 *
 *   [ (1,7) (1,9) (3,2) ] [ (3,5) (8,0) ] [ (9,4) ... ]       pairs (value, label)
 *
 * An insert shifts within one chunk and splits it when full, a remove joins small neighbours, so
 * both cost a binary search and a move of a few kilobytes, whatever the size, and there is never
 * a moment in which everything is merged. A tree would be the textbook's answer; at these sizes
 * the flat list of chunks is shorter, smaller and as fast.
 */
import { assert, must } from '../../shared/base/assert.ts';
import type { Bitmap } from '../../shared/base/bitmap.ts';
import type { NumberRange } from '../../shared/domain/filter.ts';

const CHUNK_PAIRS = 512;
/** A small shard should cost little; doubles up to `CHUNK_PAIRS`. */
const FIRST_CHUNK_PAIRS = 16;

interface Chunk {
  values: Float64Array;
  labels: Uint32Array;
  count: number;
}

/** A place between pairs: before pair `at` of chunk `chunk`. */
interface Position {
  chunk: number;
  at: number;
}

export class SortedIndex {
  readonly #chunks: Chunk[] = [];
  readonly #byLabel: (number | number[] | undefined)[] = [];
  #points = 0;

  /** Labels with at least one value. */
  get points(): number {
    return this.#points;
  }

  get memoryBytes(): number {
    const pairs = this.#chunks.reduce((total, chunk) => total + chunk.values.length, 0);
    return pairs * 12 + this.#chunks.length * 200 + this.#byLabel.length * 16;
  }

  /** Gives `label` these values (distinct) instead of those it had. */
  put(label: number, values: number[]): void {
    this.remove(label);
    if (values.length === 0) return;
    for (const value of values) this.#insert(value, label);
    while (this.#byLabel.length <= label) this.#byLabel.push(undefined);
    this.#byLabel[label] = values.length === 1 ? values[0] : values;
    this.#points += 1;
  }

  remove(label: number): void {
    const values = this.#byLabel[label];
    if (values === undefined) return;
    this.#byLabel[label] = undefined;
    this.#points -= 1;
    for (const value of Array.isArray(values) ? values : [values]) this.#delete(value, label);
  }

  /** Pairs in the range; at least the number of labels, more where a label has several values. */
  count(range: NumberRange): number {
    const { start, end } = this.#bounds(range);
    if (!isBefore(start, end)) return 0;
    let total = end.at - start.at;
    for (let i = start.chunk; i < end.chunk; i += 1) total += this.#chunk(i).count;
    return total;
  }

  /** Adds the labels with a value in the range to `into`. */
  addTo(range: NumberRange, into: Bitmap): void {
    const { start, end } = this.#bounds(range);
    if (!isBefore(start, end)) return;
    for (let i = start.chunk; i <= end.chunk && i < this.#chunks.length; i += 1) {
      const { labels, count } = this.#chunk(i);
      const to = i === end.chunk ? end.at : count;
      for (let at = i === start.chunk ? start.at : 0; at < to; at += 1) {
        into.add(labels[at] as number);
      }
    }
  }

  /** Pairs of the range lie from `start` up to `end`; an empty range may have `end` first. */
  #bounds(range: NumberRange): { start: Position; end: Position } {
    let start: Position = { chunk: 0, at: 0 };
    let end: Position = { chunk: this.#chunks.length, at: 0 };
    // (value, 0) is the first pair of a value, (value, Infinity) lies behind its last.
    if (range.gte !== undefined) start = later(start, this.#position(range.gte, 0));
    if (range.gt !== undefined) start = later(start, this.#position(range.gt, Infinity));
    if (range.lte !== undefined) end = earlier(end, this.#position(range.lte, Infinity));
    if (range.lt !== undefined) end = earlier(end, this.#position(range.lt, 0));
    return { start, end };
  }

  /** Where the pair is, or would be put: the first pair that is not below it. */
  #position(value: number, label: number): Position {
    let low = 0;
    let high = this.#chunks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const { values, labels, count } = this.#chunk(middle);
      if (isBelow(values[count - 1], labels[count - 1], value, label)) low = middle + 1;
      else high = middle;
    }
    if (low === this.#chunks.length) return { chunk: low, at: 0 };
    return { chunk: low, at: lowerBound(this.#chunk(low), value, label) };
  }

  #insert(value: number, label: number): void {
    let { chunk, at } = this.#position(value, label);
    if (chunk === this.#chunks.length) {
      // Behind everything: the last chunk takes it.
      if (chunk === 0) this.#chunks.push(emptyChunk(FIRST_CHUNK_PAIRS));
      else chunk -= 1;
      at = this.#chunk(chunk).count;
    }
    const target = this.#chunk(chunk);
    if (target.count === target.values.length) grow(target);
    target.values.copyWithin(at + 1, at, target.count);
    target.labels.copyWithin(at + 1, at, target.count);
    target.values[at] = value;
    target.labels[at] = label;
    target.count += 1;
    if (target.count < CHUNK_PAIRS) return;
    // Ascending inserts (a clock, a counter) leave full chunks behind, others leave halves.
    const ascending = at === target.count - 1 && chunk === this.#chunks.length - 1;
    this.#chunks.splice(chunk + 1, 0, splitOff(target, ascending ? at : target.count >>> 1));
  }

  #delete(value: number, label: number): void {
    const { chunk, at } = this.#position(value, label);
    const target = this.#chunk(chunk);
    assert(target.values[at] === value && target.labels[at] === label, 'the pair is in the index');
    target.values.copyWithin(at, at + 1, target.count);
    target.labels.copyWithin(at, at + 1, target.count);
    target.count -= 1;
    if (target.count > CHUNK_PAIRS / 8) return;
    const next = this.#chunks[chunk + 1];
    if (next !== undefined && target.count + next.count < CHUNK_PAIRS / 2) {
      append(target, next);
      this.#chunks.splice(chunk + 1, 1);
    } else if (target.count === 0) this.#chunks.splice(chunk, 1);
  }

  #chunk(index: number): Chunk {
    return must(this.#chunks[index], 'the chunk exists');
  }
}

function emptyChunk(pairs: number): Chunk {
  return { values: new Float64Array(pairs), labels: new Uint32Array(pairs), count: 0 };
}

/** Doubles the room of a chunk; only the first chunk of a small index is ever below full size. */
function grow(chunk: Chunk): void {
  const larger = emptyChunk(chunk.values.length * 2);
  larger.values.set(chunk.values);
  larger.labels.set(chunk.labels);
  chunk.values = larger.values;
  chunk.labels = larger.labels;
}

/** Moves the pairs from `from` on into a new chunk. */
function splitOff(chunk: Chunk, from: number): Chunk {
  const upper = emptyChunk(CHUNK_PAIRS);
  upper.values.set(chunk.values.subarray(from, chunk.count));
  upper.labels.set(chunk.labels.subarray(from, chunk.count));
  upper.count = chunk.count - from;
  chunk.count = from;
  return upper;
}

function append(chunk: Chunk, next: Chunk): void {
  chunk.values.set(next.values.subarray(0, next.count), chunk.count);
  chunk.labels.set(next.labels.subarray(0, next.count), chunk.count);
  chunk.count += next.count;
}

function lowerBound({ values, labels, count }: Chunk, value: number, label: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBelow(values[middle], labels[middle], value, label)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Whether pair (v, l) stands before (value, label). */
function isBelow(
  v: number | undefined,
  l: number | undefined,
  value: number,
  label: number,
): boolean {
  return (v as number) < value || (v === value && (l as number) < label);
}

function isBefore(a: Position, b: Position): boolean {
  return a.chunk < b.chunk || (a.chunk === b.chunk && a.at < b.at);
}

function later(a: Position, b: Position): Position {
  return isBefore(a, b) ? b : a;
}

function earlier(a: Position, b: Position): Position {
  return isBefore(a, b) ? a : b;
}
