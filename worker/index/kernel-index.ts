/**
 * The index whose vectors, codes and graph are one WebAssembly memory (`kernel/layout.ts`).
 *
 *   few points            floats only, every search compares them all
 *   more                  codes beside them; a search scans the codes and scores the best exactly
 *   points >= graphFrom   `link` builds the graph; what it lacks is scanned beside it
 *   points < graphFrom/2  the graph is dropped again
 *
 * Slots. Labels are the shard's, slots are the memory's. A new vector takes a free slot or the next
 * one and is pending; a replaced or removed one that is in the graph stays there, dead, until a
 * pass has mended every list that leads to it (`kernel/repair.ts`).
 *
 *   slots  [ linked, dead, free, reused-pending ... | tail: pending, free ... ]
 *          0                                     tailAt                    slots
 */
import { assert } from '../../shared/base/assert.ts';
import { Bitmap } from '../../shared/base/bitmap.ts';
import type { Distance } from '../../shared/domain/distance.ts';
import { EF_MAX, KernelMemory, type MemoryLayout, NONE, SLOT_LIST_MAX } from './kernel-memory.ts';
import { KernelScan } from './kernel-scan.ts';
import { countBoth, joined, withRoom } from './kernel-tables.ts';
import { METRICS } from './metric.ts';
import { TopK } from './top-k.ts';
import type {
  Hits,
  IndexConfig,
  IndexOptions,
  IndexSection,
  SavedIndex,
  Scan,
  VectorIndex,
} from './vector-index.ts';

export const KERNEL_SECTION = 'kernel';

/** Points (and floats) up to which a shard has no codes: 2^18 floats take about 70 us to compare. */
const FLOATS_ROWS_MAX = 1_024;
const FLOATS_MAX = 2 ** 18;
/** Code bytes that one search may scan by itself; more is for a scan in slices. */
const SCAN_BYTES_MAX = 2 ** 24;
/**
 * A walk with `ef` candidates computes about this many products per candidate, and each of them
 * costs about what a row of a scan costs: below `WALK_COST * ef` allowed points a scan is quicker.
 */
const WALK_COST = 40;
/** Dead nodes, as a share of the living, that start a pass. Each costs searches a little; and the
 * fewer neighbours die at a time, the better what is left knows whom to link instead: with a tenth
 * a pass, replacing half of the points lost .015 of recall, with this nothing that shows. */
const DEAD_SHARE = 0.04;
const DEAD_MIN = 64;
/** Slots mended between two looks at the clock. */
const MEND_STEP = 32;
/** Pending points in slots that were free before; more are appended. */
const REUSED_MAX = SLOT_LIST_MAX;
/** How much more a component may stand out before coding than after a rotation. */
const ROTATE_FROM = 1.25;
const ROTATE_SAMPLE = 256;
/** Head room for longer vectors to come, under Dot; see `side` in `kernel/layout.ts`. */
const NORM_ROOM = 1.21;
/** Left free for writes that have been let in and are not applied yet. */
const UNDER_WAY_BYTES = 2 ** 26;
const STATE_PENDING = 1;
const STATE_DEAD = 3;

interface Pass {
  condemned: number[];
  nextSlot: number;
}

export class KernelIndex implements VectorIndex {
  readonly dimension: number;
  readonly distance: Distance;
  readonly live = new Bitmap();
  readonly #config: IndexConfig;
  readonly #options: IndexOptions;
  #memory: KernelMemory;
  #slotOf = new Uint32Array(0);
  #count = 0;
  #free: number[] = [];
  /** Pending slots below the tail. */
  readonly #reused = new Set<number>();
  #tailAt = 0;
  #pending = 0;
  #dead: number[] = [];
  #pass: Pass | undefined;
  #state: 'open' | 'saving' | 'closed' = 'open';

  constructor(config: IndexConfig, options: IndexOptions, memory?: KernelMemory) {
    this.dimension = config.dimension;
    this.distance = config.distance;
    this.#config = config;
    this.#options = options;
    this.#memory = memory ?? KernelMemory.create(layoutOf(config, options));
    if (memory !== undefined) this.#restore();
  }

  /** The index that was saved as these sections; undefined when they are of another one. */
  static open(
    config: IndexConfig,
    options: IndexOptions,
    sections: readonly IndexSection[],
  ): KernelIndex | undefined {
    const section = sections.find(({ name }) => name === KERNEL_SECTION);
    if (section === undefined || !('pieces' in section)) return undefined;
    const memory = KernelMemory.adopt(layoutOf(config, options), joined(section));
    if (memory === undefined) return undefined;
    const index = new KernelIndex(config, options, memory);
    const { m, efConstruct } = layoutOf(config, options);
    if (memory.m !== m || memory.efConstruct !== efConstruct) index.#moveTo(memory.shape);
    return index;
  }

  get count(): number {
    return this.#count;
  }

  get linked(): number {
    return this.#graphWanted ? this.#count - this.#pending : this.#count;
  }

  get hasGraph(): boolean {
    return this.#memory.entry !== NONE;
  }

  get linkPending(): boolean {
    if (!this.#graphWanted) return false;
    return this.#pending > 0 || this.#pass !== undefined || this.#isWorn;
  }

  get memoryBytes(): number {
    return this.#memory.usedBytes + this.#slotOf.byteLength + this.live.words.byteLength;
  }

  /** Throws `AppError` when `more` points may not fit. */
  assertRoom(more: number): void {
    this.#memory.assertRoom(Math.max(0, more - this.#free.length), UNDER_WAY_BYTES);
  }

  add(label: number, vector: Float32Array): void {
    assert(vector.length === this.dimension, 'a vector has the dimension of its index');
    if (this.#memory.shape === 'floats' && this.#outgrowsFloats(this.#count + 1)) {
      this.#moveTo('codes');
    }
    const slot = this.#takeSlot();
    const old = this.#slotOf[label] ?? NONE;
    if (old !== NONE) this.#release(old);
    this.#put(slot, label, vector);
    if (old !== NONE) return;
    this.live.add(label);
    this.#count += 1;
  }

  remove(label: number): void {
    const slot = this.#slotOf[label] ?? NONE;
    if (slot === NONE) return;
    this.#release(slot);
    this.#slotOf[label] = NONE;
    this.live.delete(label);
    this.#count -= 1;
    if (this.#state === 'open') this.#shrink();
  }

  has(label: number): boolean {
    return this.live.has(label);
  }

  vector(label: number): Float32Array | undefined {
    const slot = this.#slotOf[label] ?? NONE;
    return slot === NONE ? undefined : this.#memory.raw(slot);
  }

  search(query: Float32Array, k: number, ef: number, allowed?: Bitmap): Hits | undefined {
    const reachable = allowed === undefined ? this.#count : countBoth(this.live, allowed);
    if (reachable === 0) return { labels: [], scores: [] };
    if (this.#memory.shape === 'floats') {
      if (reachable * this.dimension > FLOATS_MAX) return undefined;
      const scan = this.startScan(query, k, allowed);
      scan.step(Infinity);
      return scan.hits();
    }
    const linked = this.#count - this.#pending;
    const nodes = linked + this.#dead.length + (this.#pass?.condemned.length ?? 0);
    const share = reachable / this.#count;
    let wide = Math.ceil((Math.max(ef, k) * nodes) / Math.max(1, linked * share));
    // A walk may end with too few: by chance of the filter, among removed points, or in a part of
    // the graph cut off. A wider one costs less than comparing all.
    for (; this.hasGraph && wide <= EF_MAX && reachable > WALK_COST * wide; wide *= 2) {
      const hits = this.#walk(query, { k, ef: wide }, allowed);
      if (hits === undefined) break;
      if (hits.labels.length === Math.min(k, reachable)) return hits;
    }
    if (reachable * this.dimension > SCAN_BYTES_MAX) return undefined;
    return this.#scanCodes(query, k, allowed);
  }

  startScan(query: Float32Array, k: number, allowed?: Bitmap): Scan {
    const source = {
      live: this.live,
      memory: () => this.#memory,
      slotOf: (label: number) => this.#slotOf[label] ?? NONE,
    };
    return new KernelScan(source, METRICS[this.distance], { query, k, allowed });
  }

  link(untilDone: () => boolean): boolean {
    if (this.#state !== 'open') return true;
    while (this.linkPending) {
      this.#linkStep();
      if (untilDone()) break;
    }
    return !this.linkPending;
  }

  async save(): Promise<SavedIndex> {
    assert(this.#state === 'open', 'one save at a time');
    this.#state = 'saving';
    const sections = [{ name: KERNEL_SECTION, ...this.#memory.snapshot() }];
    const release = async () => {
      if (this.#state !== 'saving') return;
      this.#state = 'open';
      this.#shrink();
    };
    return { sections, release };
  }

  close(): void {
    this.#state = 'closed';
  }

  // --- searching

  #walk(
    query: Float32Array,
    wanted: { k: number; ef: number },
    allowed?: Bitmap,
  ): Hits | undefined {
    const { k, ef } = wanted;
    const unlinked = this.#memory.slots - this.#tailAt + this.#reused.size;
    if (unlinked * this.dimension > SCAN_BYTES_MAX) return undefined;
    const memory = this.#memory;
    const { kernel } = memory;
    // Of near duplicates, codes tell the order badly: k + 16 found .002 more than k + 6, at 1 us.
    const take = Math.max(k + 16, Math.ceil(1.5 * k));
    memory.setQuery(query);
    const filterWords = allowed === undefined ? -1 : memory.setFilter(allowed.words);
    kernel.begin();
    kernel.walk(ef, take, filterWords);
    if (this.#pending > 0) {
      kernel.scanRange(this.#tailAt, memory.slots, take, filterWords);
      this.#scanReused(take, allowed);
    }
    return this.#collect(k);
  }

  #scanReused(take: number, allowed?: Bitmap): void {
    const list = this.#memory.slotList;
    let count = 0;
    for (const slot of this.#reused) {
      if (allowed !== undefined && !allowed.has(this.#memory.kernel.labelOf(slot) >>> 0)) continue;
      list[count] = slot;
      count += 1;
    }
    if (count > 0) this.#memory.kernel.scanSlots(count, take);
  }

  #scanCodes(query: Float32Array, k: number, allowed?: Bitmap): Hits {
    const memory = this.#memory;
    const { kernel } = memory;
    const take = Math.max(k + 32, 2 * k);
    memory.setQuery(query);
    kernel.begin();
    if (allowed === undefined) {
      kernel.scanRange(0, memory.slots, take, -1);
      return this.#collect(k);
    }
    const list = memory.slotList;
    const slotOf = this.#slotOf;
    const { words } = this.live;
    const end = Math.min(words.length, allowed.words.length);
    let count = 0;
    for (let word = 0; word < end; word += 1) {
      let bits = (words[word] as number) & (allowed.words[word] as number);
      while (bits !== 0) {
        const bit = bits & -bits;
        bits ^= bit;
        list[count] = slotOf[(word << 5) + 31 - Math.clz32(bit)] as number;
        count += 1;
      }
      if (count <= SLOT_LIST_MAX - 32) continue;
      kernel.scanSlots(count, take);
      count = 0;
    }
    kernel.scanSlots(count, take);
    return this.#collect(k);
  }

  #collect(k: number): Hits {
    const memory = this.#memory;
    const taken = memory.kernel.finish(k);
    const top = new TopK(k);
    for (let at = 0; at < taken; at += 1) top.offer(memory.resultLabel(at), memory.resultNear(at));
    return top.hits(METRICS[this.distance]);
  }

  // --- slots

  #takeSlot(): number {
    const free = this.#free.at(-1);
    if (free !== undefined && (free >= this.#tailAt || this.#reused.size < REUSED_MAX)) {
      this.#free.pop();
      return free;
    }
    const slot = this.#memory.slots;
    this.#memory.reserve(slot);
    return slot;
  }

  #put(slot: number, label: number, vector: Float32Array): void {
    this.#memory.put(slot, label, vector);
    this.#slotOf = withRoom(this.#slotOf, label);
    this.#slotOf[label] = slot;
    this.#pending += 1;
    if (slot < this.#tailAt) this.#reused.add(slot);
  }

  #release(slot: number): void {
    if (!this.#memory.remove(slot)) {
      this.#dead.push(slot);
      return;
    }
    this.#pending -= 1;
    this.#reused.delete(slot);
    this.#free.push(slot);
  }

  /** Makes the tables beside the memory again from its rows. */
  #restore(): void {
    const { kernel, slots } = this.#memory;
    this.#tailAt = slots;
    for (let slot = 0; slot < slots; slot += 1) {
      const state = kernel.stateOf(slot);
      const label = kernel.labelOf(slot) >>> 0;
      if (state === STATE_DEAD) this.#dead.push(slot);
      else if (label === NONE) this.#free.push(slot);
      else this.#restorePoint(slot, label, state);
    }
  }

  #restorePoint(slot: number, label: number, state: number): void {
    if (state === STATE_PENDING) {
      this.#pending += 1;
      this.#reused.add(slot);
    }
    const other = this.#slotOf[label] ?? NONE;
    if (other !== NONE) this.#release(other);
    this.#slotOf = withRoom(this.#slotOf, label);
    this.#slotOf[label] = slot;
    if (other !== NONE) return;
    this.live.add(label);
    this.#count += 1;
  }

  // --- the graph

  get #graphWanted(): boolean {
    if (this.distance === 'Manhattan' || this.#config.hnsw.m === 0) return false;
    return this.hasGraph || this.#count >= this.#options.graphFrom;
  }

  get #isWorn(): boolean {
    return this.#dead.length > Math.max(DEAD_MIN, DEAD_SHARE * this.#count);
  }

  #linkStep(): void {
    if (this.#memory.shape === 'floats') this.#moveTo('codes');
    if (this.#pass !== undefined) this.#mendStep(this.#pass);
    else if (this.#isWorn) this.#startPass();
    else this.#linkNext();
  }

  #linkNext(): void {
    const { kernel } = this.#memory;
    const [reused] = this.#reused;
    let slot = reused ?? this.#tailAt;
    if (reused !== undefined) this.#reused.delete(reused);
    else {
      while (kernel.stateOf(slot) !== STATE_PENDING) slot += 1;
      this.#tailAt = slot + 1;
    }
    kernel.link(slot);
    this.#pending -= 1;
  }

  #startPass(): void {
    const { kernel } = this.#memory;
    for (const slot of this.#dead) kernel.setCondemned(slot, 1);
    this.#pass = { condemned: this.#dead, nextSlot: 0 };
    this.#dead = [];
  }

  #mendStep(pass: Pass): void {
    const { kernel, slots } = this.#memory;
    const end = Math.min(slots, pass.nextSlot + MEND_STEP);
    kernel.mend(pass.nextSlot, end);
    pass.nextSlot = end;
    if (end < slots) return;
    kernel.leaveCondemned();
    for (const slot of pass.condemned) kernel.free(slot);
    this.#free.push(...pass.condemned);
    this.#pass = undefined;
  }

  /** Without the graph when there are too few points for it. */
  #shrink(): void {
    if (!this.hasGraph || this.#count >= this.#options.graphFrom / 2) return;
    this.#moveTo(this.#outgrowsFloats(this.#count) ? 'codes' : 'floats');
  }

  #outgrowsFloats(count: number): boolean {
    if (this.distance === 'Manhattan') return false;
    return count > FLOATS_ROWS_MAX || count * this.dimension > FLOATS_MAX;
  }

  /** All points into a fresh memory, unlinked: memories do not shrink, and a shape is for life. */
  #moveTo(shape: MemoryLayout['shape']): void {
    const from = this.#memory;
    const slotOf = this.#slotOf;
    const layout = { ...layoutOf(this.#config, this.#options), shape };
    const fitted = shape === 'codes' ? { ...layout, ...this.#measure() } : layout;
    this.#memory = KernelMemory.create(fitted);
    this.#slotOf = new Uint32Array(0);
    this.#free = [];
    this.#reused.clear();
    this.#tailAt = 0;
    this.#pending = 0;
    this.#dead = [];
    this.#pass = undefined;
    this.live.forEach((label) => {
      this.#put(this.#takeSlot(), label, from.raw(slotOf[label] as number));
    });
  }

  /** Whether a rotation makes codes finer, and how long vectors are: from the vectors there are. */
  #measure(): { rotated: boolean; maxNorm2: number } {
    const { kernel } = this.#memory;
    const stride = Math.max(1, Math.floor(this.#count / ROTATE_SAMPLE));
    let seen = 0;
    let plain = 0;
    let turned = 0;
    let longest = 0;
    this.live.forEach((label) => {
      const slot = this.#slotOf[label] as number;
      longest = Math.max(longest, kernel.rawNorm2(slot));
      seen += 1;
      if (seen % stride !== 0) return;
      plain += kernel.rawPeak(slot);
      turned += kernel.rawPeakRotated(slot);
    });
    return { rotated: plain > ROTATE_FROM * turned, maxNorm2: longest * NORM_ROOM };
  }
}

function layoutOf(config: IndexConfig, options: IndexOptions): MemoryLayout {
  const { dimension, distance, hnsw } = config;
  const { m, efConstruct } = hnsw;
  const { seed } = options;
  return {
    shape: 'floats',
    dimension,
    distance,
    m: m === 0 ? 0 : Math.max(4, m),
    efConstruct,
    seed: seed >>> 0,
    rotated: false,
    maxNorm2: 0,
  };
}
