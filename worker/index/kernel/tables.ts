/**
 * The plain tables beside a kernel's memory: sections of an image, label to slot, filters.
 */
import type { Bitmap } from '../../../shared/base/bitmap.ts';

/** The bytes of a section in one piece. */
export function joined(section: { byteLength: number; pieces: Iterable<Uint8Array> }): Uint8Array {
  const pieces = [...section.pieces];
  const [only] = pieces;
  if (pieces.length === 1 && only !== undefined) return only;
  const bytes = new Uint8Array(section.byteLength);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.byteLength;
  }
  return bytes;
}

/** The slot of each label, as slot + 1, or 0: in the memory where that has a place for it. */
export class LabelMap {
  #words: Uint32Array;
  #end = 0;

  constructor(words: Uint32Array = new Uint32Array(0)) {
    this.#words = words;
  }

  get byteLength(): number {
    return 4 * this.#end;
  }

  slotOf(label: number): number {
    return ((this.#words[label] ?? 0) - 1) >>> 0;
  }

  /** NONE for the slot of a label that has none any more. */
  set(label: number, slot: number): void {
    if (label >= this.#words.length) this.#grow(label + 1);
    this.#words[label] = slot + 1;
    this.#end = Math.max(this.#end, label + 1);
  }

  #grow(length: number): void {
    const next = new Uint32Array(Math.max(16, length, Math.ceil(this.#words.length * 1.5)));
    next.set(this.#words);
    this.#words = next;
  }
}

/** How many labels are in both; no copy is made, this stands before every filtered search. */
export function countBoth(a: Bitmap, b: Bitmap): number {
  const { words } = a;
  const { words: others } = b;
  const end = Math.min(words.length, others.length);
  let total = 0;
  for (let at = 0; at < end; at += 1) {
    const both = (words[at] as number) & (others[at] as number);
    if (both === 0) continue;
    const pairs = both - ((both >>> 1) & 0x5555_5555);
    const fours = (pairs & 0x3333_3333) + ((pairs >>> 2) & 0x3333_3333);
    total += Math.imul((fours + (fours >>> 4)) & 0x0f0f_0f0f, 0x0101_0101) >>> 24;
  }
  return total;
}
