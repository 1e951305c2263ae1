/**
 * One shard's linear memory and the kernel instance that works on it (layout: `wasm/layout.ts`).
 * This file makes the memory, grows it and reads it back; what goes into it when is decided in
 * `slots.ts`.
 *
 * A tiny shard has no WebAssembly memory yet: its header and the first bytes of its blocks stand in
 * arrays of their own, and move to a memory when there are more rows or the kernel is wanted. Each
 * memory reserves 8 GiB of addresses, so a process has room for 16,000 of them, and page tables and
 * half-used pages cost 15 kB where ten rows of 256 floats are 10.
 */
import { assert, must } from '../../../shared/base/assert.ts';
import { LIMITS } from '../../../shared/domain/limits.ts';
import { AppError } from '../../../shared/errors/app-error.ts';
import { copyVector } from './copy.ts';
import {
  type Coding,
  HEADER_BYTES,
  HEADER_WORDS,
  type Header,
  headerOf,
  LABELS_MAX,
  LIVE_AT,
  type MemoryLayout,
  NONE,
  SCRATCH_WORD,
  type Shape,
  SLOT_LIST_MAX,
  shapeOf,
} from './layout.ts';
import {
  instantiate,
  type KernelExports,
  newMemory,
  PAGE_BYTES,
  SEARCHING,
  type WasmMemory,
} from './module.ts';

/** Small enough to be copied before anything else runs: a memory that grows takes its views away. */
const PIECE_BYTES = 2 ** 20;
/** Pages added at a time once a memory is large. */
const GROWTH = 0.125;
const MEMORY_BYTES_MAX = 2 ** 32 - PAGE_BYTES;
const TINY_SLOTS = 64;
const TINY_SLOTS_FIRST = 8;
const TINY_GROWTH = 1.25;
const STATE_FREE = 0;
const STATE_PENDING = 1;
const SLOT_FREE = 0;
/** In the label of a row; floats have no walks. */
const UNLINKED = 0x8000_0000;

const NO_WORDS = new Uint32Array(0);
const NO_FLOATS = new Float32Array(0);
const NO_DOUBLES = new Float64Array(0);

export class KernelMemory {
  readonly shape: Shape;
  #kernel: KernelExports | undefined;
  /** None for a tiny shard. */
  #memory: WasmMemory | undefined;
  readonly #blockBytes: number;
  readonly #blockShift: number;
  readonly #blocksAt: number;
  readonly #dimension: number;
  readonly #rowStride: number;
  readonly #rawAt: number;
  /** Whether exact scores can be computed from the memory alone. */
  readonly hasRaw: boolean;
  #words: Uint32Array;
  #doubles: Float64Array = NO_DOUBLES;
  /** Rows, whose first word has the address `#rowsFrom`: all of the memory, or what is tiny. */
  #rows: Uint32Array = NO_WORDS;
  #floats: Float32Array = NO_FLOATS;
  #rowsFrom: number;

  private constructor(memory: WasmMemory | undefined, header: Header, shape: Shape) {
    this.shape = shape;
    this.#words = header;
    this.#rowsFrom = header[10] as number;
    this.#dimension = header[2] as number;
    this.#blockShift = header[8] as number;
    this.#blockBytes = header[9] as number;
    this.#blocksAt = header[10] as number;
    this.#rowStride = header[7] as number;
    this.#rawAt = header[18] as number;
    this.hasRaw = header[23] === 1;
    if (memory !== undefined) this.#use(memory);
  }

  #use(memory: WasmMemory): void {
    const header = this.#words;
    this.#memory = memory;
    this.#look(memory.buffer);
    this.#words.set(header);
  }

  #look(buffer: ArrayBufferLike): void {
    this.#words = new Uint32Array(buffer);
    this.#rows = this.#words;
    this.#floats = new Float32Array(buffer);
    this.#doubles = new Float64Array(buffer);
    this.#rowsFrom = 0;
  }

  /** Made when it is first needed: an instance takes 8 kB, more than a shard of a few points. */
  get kernel(): KernelExports {
    if (this.#kernel !== undefined) return this.#kernel;
    this.#kernel = instantiate(this.#memory ?? this.#leaveTiny(), SEARCHING);
    return this.#kernel;
  }

  /** What the building thread works on. */
  get shared(): WasmMemory {
    assert(this.shape === 'codes', 'floats have no graph');
    return must(this.#memory, 'codes are in a memory');
  }

  /** Whether so few floats are compared without the kernel. */
  get isTiny(): boolean {
    return this.shape === 'floats' && this.slots <= TINY_SLOTS;
  }

  static create(layout: MemoryLayout): KernelMemory {
    const header = headerOf(layout);
    const blocksAt = header[10] as number;
    if (layout.shape === 'floats') return new KernelMemory(undefined, header, 'floats');
    const memory = reserveMemory(blocksAt, 'codes');
    if (header[17] !== 0 && layout.centre !== undefined) {
      new Float32Array(memory.buffer, header[17]).set(layout.centre);
    }
    return new KernelMemory(memory, header, 'codes');
  }

  /** The memory that `pieces` wrote; undefined when it is not one of this layout or not sound. */
  static adopt(layout: MemoryLayout, image: Uint8Array): KernelMemory | undefined {
    if (image.byteLength < HEADER_BYTES) return undefined;
    const saved = new Uint32Array(Uint8Array.from(image.subarray(0, HEADER_WORDS * 4)).buffer);
    const [m = 0, efConstruct = 0] = [saved[4], saved[11]];
    if (m > LIMITS.hnswMMax || efConstruct > LIMITS.hnswEfConstructMax) return undefined;
    const expected = headerOf({
      ...layout,
      shape: shapeOf(saved),
      m,
      efConstruct,
      seed: saved[15] as number,
      rotated: saved[16] === 1,
      factor: factorIn(saved),
      centre: saved[17] === 0 ? undefined : new Float32Array(layout.dimension),
      raw: layout.raw,
    });
    // Slots, entry point and nodes linked are the shard's; everything else must be ours.
    for (const word of [12, 13, 14]) expected[word] = saved[word] as number;
    if (!expected.every((word, at) => word === saved[at])) return undefined;
    const [blockShift = 0, blockBytes = 0, blocksAt = 0] = saved.subarray(8);
    const end = blocksAt + Math.ceil((saved[12] as number) / 2 ** blockShift) * blockBytes;
    const from = savedFrom(saved);
    if (image.byteLength !== HEADER_BYTES + end - from) return undefined;
    if (end > MEMORY_BYTES_MAX) return undefined;
    const memory = reserveMemory(end, shapeOf(saved));
    new Uint8Array(memory.buffer).set(image.subarray(HEADER_BYTES), from);
    const adopted = new KernelMemory(memory, saved, shapeOf(saved));
    return adopted.kernel.check(LABELS_MAX) === 0 ? adopted : undefined;
  }

  /** Takes what was copied here for its graph; `gaps` are the slots that are free. */
  takeGraph(end: number, gaps: readonly number[], entry: number): void {
    this.#words[12] = end;
    this.#words[13] = entry;
    for (const slot of gaps) this.kernel.free(slot);
  }

  /** Slots that have been used; those below may be free. */
  get slots(): number {
    return this.#words[12] as number;
  }

  get m(): number {
    return this.#words[4] as number;
  }

  get efConstruct(): number {
    return this.#words[11] as number;
  }

  /** What codes depend on beside the vectors. */
  get coding(): Coding {
    const [seed = 0, rotated, centreAt = 0] = this.#words.subarray(15, 18);
    const from = centreAt >>> 2;
    const centre = centreAt === 0 ? undefined : this.#floats.slice(from, from + this.#dimension);
    return { seed, rotated: rotated === 1, factor: factorIn(this.#words), centre };
  }

  get entry(): number {
    return this.#words[13] as number;
  }

  /** Bytes of the slots in use. What lies behind them in the last block is reserved, and backed by
   * no memory until it is written; the same holds for most of the scratch. */
  get usedBytes(): number {
    return HEADER_BYTES + Math.ceil((this.slots * this.#blockBytes) / 2 ** this.#blockShift);
  }

  /** Throws when `more` new slots pass what a memory can address, less `marginBytes`. */
  assertRoom(more: number, marginBytes = 0): void {
    const end = this.#blocksAt + this.#blocks(this.slots + more) * this.#blockBytes;
    const fits = end + marginBytes <= MEMORY_BYTES_MAX && this.slots + more <= LABELS_MAX;
    if (fits) return;
    throw new AppError(
      'invalid_argument',
      'the shard would pass 4 GiB: create the collection with more `shards` (shard_number)',
    );
  }

  /** Makes sure that the block of `slot` is there. */
  reserve(slot: number): void {
    if (this.#memory === undefined && slot < TINY_SLOTS) this.#reserveTiny(slot);
    else this.#reserveBlock(slot, this.#memory ?? this.#leaveTiny());
  }

  #reserveTiny(slot: number): void {
    if (this.#rowsEnd(slot) <= this.#rows.byteLength) return;
    const slots = Math.max(TINY_SLOTS_FIRST, slot + 1, Math.floor(slot * TINY_GROWTH));
    const rows = new Uint32Array(this.#rowsEnd(Math.min(slots, TINY_SLOTS) - 1) >>> 2);
    rows.set(this.#rows);
    this.#rows = rows;
    this.#floats = new Float32Array(rows.buffer);
  }

  /** Bytes from the first block to the end of a slot's floats. */
  #rowsEnd(slot: number): number {
    const block = (slot >>> this.#blockShift) * this.#blockBytes;
    return block + this.#rawAt + (this.#within(slot) + 1) * this.#dimension * 4;
  }

  #leaveTiny(): WasmMemory {
    const rows = this.#rows;
    const bytes = this.#blocks(this.slots) * this.#blockBytes;
    const memory = reserveMemory(this.#blocksAt + bytes, 'floats');
    this.#use(memory);
    this.#words.set(rows.subarray(0, bytes >>> 2), this.#blocksAt >>> 2);
    return memory;
  }

  #reserveBlock(slot: number, memory: WasmMemory): void {
    const end = this.#blocksAt + this.#blocks(slot + 1) * this.#blockBytes;
    const have = memory.buffer.byteLength;
    if (end <= have) return;
    this.assertRoom(slot + 1 - this.slots);
    const wanted = Math.min(MEMORY_BYTES_MAX, Math.max(end, have * (1 + GROWTH)));
    try {
      memory.grow(Math.ceil((wanted - have) / PAGE_BYTES));
    } catch (error) {
      throw new AppError('overloaded', 'the worker has no memory left', { cause: error });
    }
    this.#look(memory.buffer);
  }

  /** A view of the floats of a slot, valid until the memory grows. */
  raw(slot: number): Float32Array {
    const within = this.#rawAt + this.#within(slot) * this.#dimension * 4;
    const at = (this.#blockOf(slot) - this.#rowsFrom + within) >>> 2;
    return this.#floats.subarray(at, at + this.#dimension);
  }

  /** Makes a pending row of `vector`. */
  put(slot: number, label: number, vector: Float32Array): void {
    if (this.shape === 'codes') {
      this.setQuery(vector);
      this.kernel.put(slot, label);
      return;
    }
    this.raw(slot).set(vector);
    this.#setRow(slot, label, STATE_PENDING);
    if (slot >= this.slots) this.#words[12] = slot + 1;
  }

  /** Makes a pending row of one of another memory, whose codes are made in the same way. */
  putCopy(slot: number, label: number, from: KernelMemory, fromSlot: number): void {
    if (this.shape === 'codes') copyVector(from.shared, fromSlot, this.shared, slot);
    else this.raw(slot).set(from.raw(fromSlot));
    this.#setRow(slot, label, STATE_PENDING);
    if (slot >= this.slots) this.#words[12] = slot + 1;
  }

  /** Takes the point off its slot; what `remove` of the kernel says became of it. */
  remove(slot: number): number {
    if (this.shape === 'codes') return this.kernel.remove(slot);
    this.#setRow(slot, NONE, STATE_FREE);
    this.raw(slot).fill(0);
    return SLOT_FREE;
  }

  #setRow(slot: number, label: number, state: number): void {
    const row = (this.#rowAt(slot) - this.#rowsFrom) >>> 2;
    const level = ((this.#rows[row + 1] as number) >>> 16) & 0xff;
    this.#rows[row] = label | UNLINKED;
    this.#rows[row + 1] = (state << 24) | (level << 16);
  }

  #rowAt(slot: number): number {
    return this.#blockOf(slot) + this.#within(slot) * this.#rowStride;
  }

  #blockOf(slot: number): number {
    return this.#blocksAt + (slot >>> this.#blockShift) * this.#blockBytes;
  }

  #within(slot: number): number {
    return slot & (2 ** this.#blockShift - 1);
  }

  /** Puts a query, or a vector, where the kernel reads it; the kernel has to be there. */
  setQuery(query: Float32Array): void {
    assert(this.#memory !== undefined, 'a tiny shard has no place for a query');
    this.#floats.set(query, this.#scratch(0) >>> 2);
  }

  /** Where a scan reads its slots. */
  get slotList(): Uint32Array {
    const at = this.#scratch(11) >>> 2;
    return this.#words.subarray(at, at + SLOT_LIST_MAX);
  }

  /** Of each label its slot + 1, or 0: with a graph, where the kernel finds it, too. */
  get labelMap(): Uint32Array | undefined {
    if (this.shape !== 'codes') return undefined;
    return new Uint32Array(this.shared.buffer, this.#scratch(15), LABELS_MAX);
  }

  /** Puts a filter in place, less what is not in `live`: its length in words, and its count. */
  setFilter(allowed: Uint32Array, live: Uint32Array): { words: number; count: number } {
    const words = Math.min(allowed.length, live.length);
    assert(words <= LABELS_MAX / 32, 'labels are slots, and slots are bounded');
    const at = this.#scratch(12) >>> 2;
    this.#words.set(allowed.subarray(0, words), at);
    this.#words.set(live.subarray(0, words), at + (LIVE_AT >>> 2));
    // The kernel reads two words at a time.
    this.#words[at + words] = 0;
    return { words, count: this.kernel.allowLive(words) };
  }

  resultLabel(at: number): number {
    return this.#words[(this.#scratch(9) >>> 2) + at] as number;
  }

  resultNear(at: number): number {
    return this.#doubles[(this.#scratch(10) >>> 3) + at] as number;
  }

  /** The header as it is now, and the centre and the blocks as they are when they are read, at most a
   * mebibyte at a time. Slots that come later are not part of it. */
  snapshot(): { byteLength: number; pieces: Iterable<Uint8Array> } {
    const memory = this.#memory ?? this.#leaveTiny();
    const header = new Uint8Array(HEADER_BYTES);
    header.set(new Uint8Array(memory.buffer, 0, HEADER_WORDS * 4));
    const from = savedFrom(this.#words);
    const end = this.#blocksAt + this.#blocks(this.slots) * this.#blockBytes;
    const byteLength = HEADER_BYTES + end - from;
    return { byteLength, pieces: this.#pieces(memory, header, { from, end }) };
  }

  *#pieces(
    memory: WasmMemory,
    header: Uint8Array,
    { from, end }: { from: number; end: number },
  ): Iterable<Uint8Array> {
    yield header;
    for (let at = from; at < end; at += PIECE_BYTES) {
      yield new Uint8Array(memory.buffer, at, Math.min(PIECE_BYTES, end - at));
    }
  }

  #scratch(word: number): number {
    return this.#words[SCRATCH_WORD + word] as number;
  }

  #blocks(slots: number): number {
    return Math.ceil(slots / 2 ** this.#blockShift);
  }
}

function factorIn(header: Uint32Array): number {
  return new Float32Array(header.buffer, header.byteOffset)[24] || 1;
}

/** Where what an image holds behind the header begins in a memory. */
function savedFrom(header: Uint32Array): number {
  return header[17] || (header[10] as number);
}

function reserveMemory(bytes: number, shape: Shape): WasmMemory {
  try {
    return newMemory(bytes, shape === 'codes');
  } catch (error) {
    throw new AppError('overloaded', 'the worker has no memory left', { cause: error });
  }
}
