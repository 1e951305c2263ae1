/**
 * A set of labels as one bit each, in 32-bit words. Labels are small and dense (slots of an
 * index), so a bitmap is both the smallest and the fastest form of "these points".
 */
import { assert } from './assert.ts';

export class Bitmap {
  /** Bit `label & 31` of word `label >>> 5`. */
  words: Uint32Array;

  /** A bitmap with room for labels in [0, capacity); it grows when a larger one is added. */
  constructor(capacity = 0) {
    this.words = new Uint32Array((capacity + 31) >>> 5);
  }

  static of(labels: Iterable<number>, capacity = 0): Bitmap {
    const bitmap = new Bitmap(capacity);
    for (const label of labels) bitmap.add(label);
    return bitmap;
  }

  has(label: number): boolean {
    return ((this.words[label >>> 5] ?? 0) & (1 << (label & 31))) !== 0;
  }

  add(label: number): void {
    assert(label >= 0, 'a label is not negative');
    const word = label >>> 5;
    if (word >= this.words.length) this.#grow(word + 1);
    this.words[word] = (this.words[word] ?? 0) | (1 << (label & 31));
  }

  delete(label: number): void {
    const word = label >>> 5;
    if (word < this.words.length) this.words[word] = (this.words[word] ?? 0) & ~(1 << (label & 31));
  }

  /** How many labels are in it. O(words). */
  count(): number {
    let total = 0;
    for (let i = 0; i < this.words.length; i += 1) total += popcount(this.words[i] ?? 0);
    return total;
  }

  clone(): Bitmap {
    const copy = new Bitmap();
    copy.words = this.words.slice();
    return copy;
  }

  /** Keeps what is also in `other`; in place. */
  and(other: Bitmap): this {
    for (let i = 0; i < this.words.length; i += 1) {
      this.words[i] = (this.words[i] ?? 0) & (other.words[i] ?? 0);
    }
    return this;
  }

  /** Adds what is in `other`; in place. */
  or(other: Bitmap): this {
    if (other.words.length > this.words.length) this.#grow(other.words.length);
    for (let i = 0; i < other.words.length; i += 1) {
      this.words[i] = (this.words[i] ?? 0) | (other.words[i] ?? 0);
    }
    return this;
  }

  /** Removes what is in `other`; in place. */
  andNot(other: Bitmap): this {
    const words = Math.min(this.words.length, other.words.length);
    for (let i = 0; i < words; i += 1) {
      this.words[i] = (this.words[i] ?? 0) & ~(other.words[i] ?? 0);
    }
    return this;
  }

  /** Calls `visit` with each label, ascending. */
  forEach(visit: (label: number) => void): void {
    for (let i = 0; i < this.words.length; i += 1) {
      let word = this.words[i] ?? 0;
      while (word !== 0) {
        const bit = word & -word;
        visit((i << 5) + 31 - Math.clz32(bit));
        word ^= bit;
      }
    }
  }

  /** The labels, ascending. */
  toLabels(): Uint32Array {
    const labels = new Uint32Array(this.count());
    let at = 0;
    this.forEach((label) => {
      labels[at] = label;
      at += 1;
    });
    return labels;
  }

  #grow(words: number): void {
    const next = new Uint32Array(Math.max(words, this.words.length * 2));
    next.set(this.words);
    this.words = next;
  }
}

/** Number of set bits (Warren, Hacker's Delight, 2nd ed., figure 5-2). */
function popcount(word: number): number {
  let v = word - ((word >>> 1) & 0x55555555);
  v = (v & 0x33333333) + ((v >>> 2) & 0x33333333);
  return Math.imul((v + (v >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
