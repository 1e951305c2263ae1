/**
 * The index whose vectors, codes and graph are one WebAssembly memory (`wasm/layout.ts`).
 *
 *   few points            floats only, every search compares them all
 *   more                  codes beside them; a search scans the codes and scores the best exactly
 *   points >= graphFrom   `link` builds the graph; what it lacks is scanned beside it
 *   points < graphFrom/2  the graph is dropped again
 *
 * A scan and a walk (ef 128) take the same time at 2,500 to 4,000 points, in 256 to 1,536 dimensions
 * as in 128: one `graphFrom` fits all, somewhat above, since a graph has to be built, too.
 */
import { assert, must } from '../../../shared/base/assert.ts';
import type { Bitmap } from '../../../shared/base/bitmap.ts';
import type { Distance } from '../../../shared/domain/distance.ts';
import { LIMITS } from '../../../shared/domain/limits.ts';
import { METRICS } from '../metric.ts';
import { TopK } from '../top-k.ts';
import {
  BrokenGraph,
  type GraphBuilder,
  type Hits,
  type IndexConfig,
  type IndexOptions,
  type IndexSection,
  type SavedIndex,
  type Scan,
  type VectorIndex,
} from '../vector-index.ts';
import { type LinkJob, runJob } from './job.ts';
import { type Coding, EF_MAX, type MemoryLayout, NONE } from './layout.ts';
import { isCoarse, measureCoding } from './measure-coding.ts';
import { KernelMemory } from './memory.ts';
import { KernelScan } from './scan.ts';
import { KernelSlots } from './slots.ts';
import { countBoth, joined } from './tables.ts';
import { KernelUpkeep } from './upkeep.ts';

export const KERNEL_SECTION = 'kernel';

/** Points (and floats) up to which a shard has no codes: 2^18 floats take about 70 us to compare. */
const FLOATS_ROWS_MAX = 1_024;
const FLOATS_MAX = 2 ** 18;
/** Code bytes that one search may scan by itself; more is for a scan in slices. */
const SCAN_BYTES_MAX = 2 ** 24;
/**
 * Rows that a scan compares in the time that a walk takes for one of its `ef` candidates (0.5 us at
 * 128 dimensions, 1 us at 768): below `walkCost * ef` allowed points a scan is quicker. A row whose
 * first plane is one cache line costs half of what others do.
 */
const WALK_COST = 20;
const WALK_COST_ONE_LINE = 32;
const ONE_LINE_DIMENSION = 128;

export function walkCost(dimension: number): number {
  return dimension <= ONE_LINE_DIMENSION ? WALK_COST_ONE_LINE : WALK_COST;
}

/** Vectors that say how all are coded. */
const SAMPLE = 256;
/** Hits that are scored by vectors read from rows while others wait; more is for a scan in slices.
 * Of 256 that are wanted a search asks for two more: the point itself, and one to see a tie. */
const ROWS_SCORED_MAX = 256 + 2;
/** Left free for writes that have been let in and are not applied yet; rows are larger than vectors. */
const UNDER_WAY_BYTES = 2 * LIMITS.writeBytesQueuedMax;
/** How much longer a shard has to be for its coding to be looked at again. */
const MEASURED_EACH = 4;
/** Floats that are moved to a smaller memory at once, in some milliseconds. */
const MOVED_FLOATS_MAX = 2 ** 22;
/** Code bytes of pending points from which on writers wait: a search scans them in 60-80 us, which
 * is not more than it takes for the graph. */
const BACKLOG_BYTES = 2 ** 20;
/** Milliseconds that a job for the builder should take: its points are scanned until it is back,
 * and between two jobs the builder waits for this thread. */
const JOB_MS = 8;
const JOB_POINTS_START = 16;
const JOB_POINTS_MAX = 2_048;

/** A filter in the memory of the kernel. */
interface Filter {
  labels: Bitmap;
  words: number;
  count: number;
}

export class KernelIndex implements VectorIndex {
  readonly dimension: number;
  readonly distance: Distance;
  readonly linkAside: (() => Promise<void>) | undefined;
  readonly #config: IndexConfig;
  readonly #options: IndexOptions;
  #upkeep: KernelUpkeep;
  #jobPoints = JOB_POINTS_START;
  /** Points from which on the coding is looked at again. */
  #measureAgainAt: number;
  /** The job that the builder has. */
  #aside: Promise<void> | undefined;
  #state: 'open' | 'saving' | 'closed' = 'open';

  constructor(config: IndexConfig, options: IndexOptions, memory?: KernelMemory) {
    this.dimension = config.dimension;
    this.distance = config.distance;
    this.#config = config;
    this.#options = options;
    const { builder } = options;
    this.linkAside = builder && (() => this.#linkAside(builder));
    const slots = new KernelSlots(memory ?? KernelMemory.create(layoutOf(config, options)));
    this.#upkeep = this.#upkeepOf(slots);
    this.#measureAgainAt = MEASURED_EACH * slots.count;
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
    const { m, efConstruct } = layoutOf(config, options);
    const index = new KernelIndex(config, options, memory);
    if (memory.m !== m || memory.efConstruct !== efConstruct) index.#moveTo(memory.shape);
    return index;
  }

  get live(): Bitmap {
    return this.#slots.live;
  }

  get count(): number {
    return this.#slots.count;
  }

  get linked(): number {
    return this.#graphWanted ? this.count - this.#slots.pending : this.count;
  }

  get hasGraph(): boolean {
    return this.#memory.entry !== NONE;
  }

  get linkPending(): boolean {
    return this.#state !== 'closed' && this.#graphWanted && this.#upkeep.due;
  }

  get backlogged(): boolean {
    const scanned = this.#slots.pending * this.dimension;
    return this.linkAside !== undefined && this.linkPending && scanned > BACKLOG_BYTES;
  }

  get memoryBytes(): number {
    return this.#memory.usedBytes + this.#slots.byteLength;
  }

  /** Throws `AppError` when `more` points may not fit. */
  assertRoom(more: number): void {
    this.#memory.assertRoom(Math.max(0, more - this.#slots.usableCount), UNDER_WAY_BYTES);
  }

  add(label: number, vector: Float32Array): void {
    assert(vector.length === this.dimension, 'a vector has the dimension of its index');
    if (this.#memory.shape === 'floats' && this.#outgrowsFloats(this.count + 1)) {
      this.#moveTo('codes');
    }
    this.#slots.put(label, vector);
    if (this.count >= this.#measureAgainAt) this.#measureAgain();
  }

  remove(label: number): void {
    this.#slots.remove(label);
    if (this.#state === 'open') this.#shrink();
  }

  has(label: number): boolean {
    return this.live.has(label);
  }

  search(query: Float32Array, k: number, ef: number, allowed?: Bitmap): Hits | undefined {
    if (this.#memory.shape === 'floats') return this.#searchFloats(query, k, allowed);
    const filter = allowed && {
      ...this.#memory.setFilter(allowed.words, this.live.words),
      labels: allowed,
    };
    const reachable = filter?.count ?? this.count;
    if (reachable === 0) return { labels: [], scores: [] };
    if (!this.#memory.hasRaw && k > ROWS_SCORED_MAX) return undefined;
    const { pending, nodeCount } = this.#slots;
    const linked = this.count - pending;
    const share = reachable / this.count;
    let wide = Math.ceil((Math.max(ef, k) * nodeCount) / Math.max(1, linked * share));
    // A walk may end with too few: by chance of the filter, among removed points, or in a part of
    // the graph cut off. A wider one costs less than comparing all.
    for (
      ;
      this.hasGraph && wide <= EF_MAX && reachable > walkCost(this.dimension) * wide;
      wide *= 2
    ) {
      const hits = this.#walk(query, { k, ef: wide }, filter);
      if (hits === undefined) break;
      if (hits.labels.length === Math.min(k, reachable)) return hits;
    }
    if (reachable * this.dimension > SCAN_BYTES_MAX) return undefined;
    return this.#scanCodes(query, k, filter);
  }

  #searchFloats(query: Float32Array, k: number, allowed?: Bitmap): Hits | undefined {
    const reachable = allowed === undefined ? this.count : countBoth(this.live, allowed);
    if (reachable === 0) return { labels: [], scores: [] };
    if (reachable * this.dimension > FLOATS_MAX) return undefined;
    const scan = this.startScan(query, k, allowed);
    scan.step(Infinity);
    return scan.hits();
  }

  startScan(query: Float32Array, k: number, allowed?: Bitmap): Scan {
    const source = {
      live: this.live,
      memory: () => this.#memory,
      slotOf: (label: number) => this.#slots.slotOf(label),
      vectorsOf: this.#options.vectorsOf,
    };
    return new KernelScan(source, METRICS[this.distance], { query, k, allowed });
  }

  link(untilDone: () => boolean): boolean {
    if (this.#state !== 'open') return true;
    assert(this.#aside === undefined, 'links are made by one thread at a time');
    while (this.linkPending) {
      const job = this.#takeJob(1);
      if (job !== undefined) {
        runJob(this.#memory.kernel, this.#memory.shared, job);
        this.#upkeep.finish(job);
      }
      if (untilDone()) break;
    }
    return !this.linkPending;
  }

  purge(): void {
    this.#upkeep.purge();
  }

  async save(): Promise<SavedIndex> {
    assert(this.#state === 'open', 'one save at a time');
    this.#state = 'saving';
    try {
      await this.#aside;
    } catch (error) {
      this.#state = 'open';
      throw error;
    }
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

  #walk(query: Float32Array, wanted: { k: number; ef: number }, filter?: Filter): Hits | undefined {
    const { k, ef } = wanted;
    const { scanAt, reused } = this.#slots;
    const unlinked = this.#memory.slots - scanAt + reused.size;
    if (unlinked * this.dimension > SCAN_BYTES_MAX) return undefined;
    const memory = this.#memory;
    const { kernel } = memory;
    const take = takeOf(k);
    memory.setQuery(query);
    const filterWords = filter?.words ?? -1;
    kernel.begin();
    kernel.walk(ef, take, filterWords);
    if (this.#slots.pending > 0) {
      kernel.scanRange(scanAt, memory.slots, take, filterWords);
      this.#scanReused(take, filter);
    }
    return this.#collect(query, k);
  }

  #scanReused(take: number, filter?: Filter): void {
    const list = this.#memory.slotList;
    const { scanAt, reused } = this.#slots;
    let count = 0;
    for (const slot of reused) {
      if (slot >= scanAt) continue;
      const label = this.#memory.kernel.labelOf(slot) >>> 0;
      if (filter !== undefined && !filter.labels.has(label)) continue;
      list[count] = slot;
      count += 1;
    }
    if (count > 0) this.#memory.kernel.scanSlots(count, take);
  }

  #scanCodes(query: Float32Array, k: number, filter?: Filter): Hits {
    const memory = this.#memory;
    const { kernel } = memory;
    const take = takeOf(k);
    memory.setQuery(query);
    kernel.begin();
    if (filter === undefined) kernel.scanRange(0, memory.slots, take, -1);
    else kernel.scanLabels(filter.words, take);
    return this.#collect(query, k);
  }

  #collect(query: Float32Array, k: number): Hits {
    const memory = this.#memory;
    const taken = memory.kernel.finish(k);
    const top = new TopK(k);
    if (!memory.hasRaw) this.#scoreByRows(query, taken, top);
    for (let at = 0; memory.hasRaw && at < taken; at += 1) {
      top.offer(memory.resultLabel(at), memory.resultNear(at));
    }
    return top.hits(METRICS[this.distance]);
  }

  /** Where the floats are in the rows only. What has no row any more keeps the score of its codes:
   * whoever asked will look for the row, too. */
  #scoreByRows(query: Float32Array, taken: number, top: TopK): void {
    const labels = Array.from({ length: taken }, (_, at) => this.#memory.resultLabel(at));
    const vectors = must(this.#options.vectorsOf, 'floats are kept or read from rows')(labels);
    const { nearness } = METRICS[this.distance];
    const exactQuery = Float64Array.from(query);
    for (const [at, label] of labels.entries()) {
      const vector = vectors[at];
      const near = this.#memory.resultNear(at);
      top.offer(label, vector === undefined ? near : nearness(vector, 0, exactQuery));
    }
  }

  // --- the graph

  get #slots(): KernelSlots {
    return this.#upkeep.slots;
  }

  get #memory(): KernelMemory {
    return this.#slots.memory;
  }

  get #graphWanted(): boolean {
    if (this.distance === 'Manhattan' || this.#config.hnsw.m === 0) return false;
    // What is dead is taken out of the graph even if it was the last of it.
    const { deadCount, passing } = this.#slots;
    if (this.hasGraph || passing || deadCount > 0) return true;
    return this.count >= this.#options.graphFrom;
  }

  #takeJob(points: number): LinkJob | undefined {
    if (this.#memory.shape === 'floats') this.#moveTo('codes');
    return this.#upkeep.takeJob(points);
  }

  #linkAside(builder: GraphBuilder): Promise<void> {
    if (this.#state !== 'open') return Promise.resolve();
    this.#aside ??= this.#runAside(builder).finally(() => {
      this.#aside = undefined;
    });
    return this.#aside;
  }

  /** One job by the builder. Points may come and go, and all may move to another memory, before it
   * is back. */
  async #runAside(builder: GraphBuilder): Promise<void> {
    const job = this.linkPending ? this.#takeJob(this.#jobPoints) : undefined;
    if (job === undefined) return;
    const upkeep = this.#upkeep;
    const ms = await builder.run(this.#memory.shared, job).catch((cause: unknown) => {
      throw new BrokenGraph('a job of linking did not end well', { cause });
    });
    if (upkeep === this.#upkeep) upkeep.finish(job);
    const points = Math.ceil((this.#jobPoints * JOB_MS) / Math.max(0.1, ms));
    this.#jobPoints = Math.min(points, 2 * this.#jobPoints, JOB_POINTS_MAX);
  }

  /** Without the graph when there are too few points for it. Where there is none, into a smaller
   * memory when most slots are free; where there is one, that is a job of its own (`upkeep.ts`). */
  #shrink(): void {
    const { hasRaw, shape } = this.#memory;
    const few = this.hasGraph
      ? hasRaw && this.count < this.#options.graphFrom / 2
      : this.#upkeep.isSparse && this.count * this.dimension <= MOVED_FLOATS_MAX;
    const emptied = this.count === 0 && this.#memory.slots > 0;
    if (!few && !emptied) return;
    const recoded = hasRaw || emptied;
    this.#moveTo(recoded && !this.#outgrowsFloats(this.count) ? 'floats' : shape);
  }

  #outgrowsFloats(count: number): boolean {
    if (this.distance === 'Manhattan') return false;
    return count > FLOATS_ROWS_MAX || count * this.dimension > FLOATS_MAX;
  }

  /** All points into a fresh memory, unlinked: a shape, the number of links, and the coding (this
   * one, if there is one) are for life. */
  #moveTo(shape: MemoryLayout['shape'], finer?: Omit<Coding, 'seed'>): void {
    const from = this.#slots;
    const layout = { ...layoutOf(this.#config, this.#options), shape };
    const recode = from.memory.shape !== shape || finer !== undefined;
    if (recode) this.#measureAgainAt = MEASURED_EACH * this.count;
    const measured =
      recode && shape === 'codes' ? (finer ?? this.#measure(this.#sample())) : undefined;
    const coding = { ...from.memory.coding, ...measured };
    const to = new KernelSlots(KernelMemory.create({ ...layout, ...coding }));
    from.live.forEach((label) => {
      if (recode) to.put(label, from.memory.raw(from.slotOf(label)));
      else to.putCopy(label, from);
    });
    this.#upkeep = this.#upkeepOf(to);
  }

  #upkeepOf(slots: KernelSlots): KernelUpkeep {
    const layout = { ...layoutOf(this.#config, this.#options), shape: slots.memory.shape };
    return new KernelUpkeep(slots, (coding) => KernelMemory.create({ ...layout, ...coding }));
  }

  /** The first points may say nothing of those that come later: with many more there are, codes
   * that are much finer for them all are worth coding all anew. */
  #measureAgain(): void {
    const { shape, hasRaw, coding } = this.#memory;
    this.#measureAgainAt = MEASURED_EACH * this.count;
    if (shape === 'floats' || !hasRaw) return;
    const sample = this.#sample();
    if (!isCoarse(sample, coding)) return;
    const finer = this.#measure(sample);
    if (this.hasGraph) this.#upkeep.recode({ ...coding, ...finer });
    else if (this.count * this.dimension <= MOVED_FLOATS_MAX) this.#moveTo(shape, finer);
  }

  /** Copies of some of the vectors there are. */
  #sample(): Float32Array[] {
    const sample: Float32Array[] = [];
    const stride = Math.max(1, Math.floor(this.count / SAMPLE));
    let seen = 0;
    this.live.forEach((label) => {
      seen += 1;
      if (seen % stride === 0) sample.push(this.#memory.raw(this.#slots.slotOf(label)).slice());
    });
    return sample;
  }

  /** How codes are finest. Changes `sample`. */
  #measure(sample: readonly Float32Array[]): Omit<Coding, 'seed'> {
    const memory = this.#memory;
    const { kernel } = memory;
    return measureCoding(sample, this.distance, (vector) => {
      memory.setQuery(vector);
      return kernel.rotatedPeak();
    });
  }
}

/** Candidates by code for `k` hits. Of near duplicates, codes tell the order badly: k + 16 found
 * .002 more than k + 6, at 1 us. */
function takeOf(k: number): number {
  return Math.max(k + 16, Math.ceil(1.5 * k));
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
    factor: 1,
    centre: undefined,
    raw: config.onDisk !== true || options.vectorsOf === undefined,
  };
}
