/**
 * Copies the nodes of a graph into another memory of the same layout (`wasm/layout.ts`), without
 * the gaps between them: memories never shrink, so this is how one gets smaller and keeps its graph.
 *
 *   from   [a . . b . c . . . d]        places: a->0 b->1 c->2 d->3
 *   into   [a b c d]                    links are renumbered; those to what is not copied go
 *
 * The lists of upper levels belong to a block and a block has room for so many: where they are used
 * up, the rest of the block stays free (`planCopy`). Points may be replaced and removed in `from`
 * meanwhile; what is copied of such a row is overwritten by whoever ordered the copy.
 */
import { NONE } from './layout.ts';
import type { WasmMemory } from './module.ts';

export interface CopyPlan {
  into: WasmMemory;
  /** The slots to copy, ascending, and the label of each. */
  slots: Uint32Array;
  labels: Uint32Array;
  /** By slot in `from`: its slot in `into`, NONE for what is not copied. */
  places: Uint32Array;
  /** Slots of `into` that stay free, and how many it then has. */
  gaps: number[];
  end: number;
}

const STATE_LINKED = 2;
const LEVEL_DRAWN = 0x80;
const AT_LABEL = 0;
const AT_COUNT = 4;
const AT_LEVEL = 6;
const AT_STATE = 7;
const LINKS_AT = 8;
const HEAD_BYTES = 16;

/** A memory as the header describes it. */
class Blocks {
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly m: number;
  readonly m0: number;
  readonly rowStride: number;
  readonly rawBytes: number;
  readonly coarseBytes: number;
  readonly fineBytes: number;
  readonly upperPerBlock: number;
  readonly slotsPerBlock: number;
  readonly #shift: number;

  constructor({ buffer }: WasmMemory) {
    this.bytes = new Uint8Array(buffer);
    this.words = new Uint32Array(buffer);
    this.m = this.#word(4);
    this.m0 = this.#word(5);
    this.fineBytes = this.#word(6) / 2;
    this.coarseBytes = HEAD_BYTES + this.fineBytes;
    this.rowStride = this.#word(7);
    this.#shift = this.#word(8);
    this.slotsPerBlock = 2 ** this.#shift;
    this.upperPerBlock = this.#word(20);
    this.rawBytes = this.#word(23) === 0 ? 0 : 4 * this.#word(2);
  }

  block(slot: number): number {
    return this.#word(10) + (slot >>> this.#shift) * this.#word(9);
  }

  within(slot: number): number {
    return slot & (this.slotsPerBlock - 1);
  }

  row(slot: number): number {
    return this.block(slot) + this.within(slot) * this.rowStride;
  }

  /** The head of a row's codes with their first plane, and the second: sections behind the rows of
   * a block. */
  coarse(slot: number): number {
    const at = this.block(slot) + this.slotsPerBlock * this.rowStride;
    return at + this.within(slot) * this.coarseBytes;
  }

  fine(slot: number): number {
    const before = this.rowStride + this.coarseBytes;
    const at = this.block(slot) + this.slotsPerBlock * before;
    return at + this.within(slot) * this.fineBytes;
  }

  raw(slot: number): number {
    return this.block(slot) + this.#word(18) + this.within(slot) * this.rawBytes;
  }

  /** Word number of the count of upper lists that the slot's block has given away. */
  used(slot: number): number {
    return (this.block(slot) + this.#word(21)) >>> 2;
  }

  level(slot: number): number {
    return (this.bytes[this.row(slot) + AT_LEVEL] as number) & ~LEVEL_DRAWN;
  }

  /** Word number of the number of the slot's first upper list. */
  first(slot: number): number {
    return (this.row(slot) + LINKS_AT + 4 * this.m0) >>> 2;
  }

  /** Word number of an upper list: a count, then links. */
  upper(slot: number, level: number): number {
    const list = (this.words[this.first(slot)] as number) + level - 1;
    return (this.block(slot) + this.#word(19) + list * (4 + 4 * this.m)) >>> 2;
  }

  #word(at: number): number {
    return this.words[at] as number;
  }
}

/** Where each of `slots` goes. The tables are shared: the building thread reads them, too. */
export function planCopy(
  from: WasmMemory,
  into: WasmMemory,
  nodes: { slots: readonly number[]; labels: readonly number[] },
): CopyPlan {
  const source = new Blocks(from);
  const places = shared((nodes.slots.at(-1) ?? 0) + 1).fill(NONE);
  const gaps: number[] = [];
  let target = 0;
  let lists = 0;
  for (const slot of nodes.slots) {
    const level = source.level(slot);
    if (source.within(target) === 0) lists = 0;
    if (lists + level > source.upperPerBlock) {
      for (; source.within(target) !== 0; target += 1) gaps.push(target);
      lists = 0;
    }
    lists += level;
    places[slot] = target;
    target += 1;
  }
  const slots = shared(nodes.slots.length);
  slots.set(nodes.slots);
  const labels = shared(nodes.labels.length);
  labels.set(nodes.labels);
  return { into, slots, labels, places, gaps, end: target };
}

/** Copies the nodes `start` to `end` of the plan. */
export function copyNodes(from: WasmMemory, plan: CopyPlan, start: number, end: number): void {
  const source = new Blocks(from);
  const target = new Blocks(plan.into);
  for (let at = start; at < end; at += 1) {
    const slot = plan.slots[at] as number;
    const place = plan.places[slot] as number;
    copyParts(source, slot, target, place);
    const row = target.row(place);
    target.words[(row + AT_LABEL) >>> 2] = plan.labels[at] as number;
    target.bytes[row + AT_LEVEL] = source.bytes[source.row(slot) + AT_LEVEL] as number;
    target.bytes[row + AT_STATE] = STATE_LINKED;
    copyLists(source, target, plan.places, slot, place);
  }
}

/** Copies codes, their scales and floats of one slot to another, all that is the vector's. */
export function copyVector(from: WasmMemory, slot: number, into: WasmMemory, place: number): void {
  copyParts(new Blocks(from), slot, new Blocks(into), place);
}

function copyParts(source: Blocks, slot: number, target: Blocks, place: number): void {
  const copy = (at: number, length: number, to: number) => {
    target.bytes.set(source.bytes.subarray(at, at + length), to);
  };
  copy(source.coarse(slot), source.coarseBytes, target.coarse(place));
  copy(source.fine(slot), source.fineBytes, target.fine(place));
  copy(source.raw(slot), source.rawBytes, target.raw(place));
}

function copyLists(
  source: Blocks,
  target: Blocks,
  places: Uint32Array,
  slot: number,
  place: number,
): void {
  const row = source.row(slot);
  const to = target.row(place);
  const count =
    (source.bytes[row + AT_COUNT] as number) + 256 * (source.bytes[row + AT_COUNT + 1] as number);
  const links = source.words.subarray((row + LINKS_AT) >>> 2).subarray(0, count);
  const kept = renumber(links, places, target.words, (to + LINKS_AT) >>> 2);
  target.bytes[to + AT_COUNT] = kept;
  target.bytes[to + AT_COUNT + 1] = kept >>> 8;
  const level = source.level(slot);
  const used = target.words[target.used(place)] as number;
  target.words[target.first(place)] = used;
  target.words[target.used(place)] = used + level;
  for (let on = 1; on <= level; on += 1) {
    const list = source.upper(slot, on);
    const upper = source.words.subarray(list + 1, list + 1 + (source.words[list] as number));
    const out = target.upper(place, on);
    target.words[out] = renumber(upper, places, target.words, out + 1);
  }
}

/** Writes the new numbers of the links that have one; how many. */
function renumber(
  links: Uint32Array,
  places: Uint32Array,
  words: Uint32Array,
  out: number,
): number {
  let kept = 0;
  for (const slot of links) {
    const place = places[slot] ?? NONE;
    if (place === NONE) continue;
    words[out + kept] = place;
    kept += 1;
  }
  return kept;
}

/** The node of the highest level, for the entry point; NONE without nodes. */
export function highestOf(memory: WasmMemory, slots: Iterable<number>): number {
  const blocks = new Blocks(memory);
  let best = NONE;
  for (const slot of slots) {
    if (best === NONE || blocks.level(slot) > blocks.level(best)) best = slot;
  }
  return best;
}

function shared(length: number): Uint32Array<SharedArrayBuffer> {
  return new Uint32Array(new SharedArrayBuffer(4 * length));
}
