/**
 * The graph: HNSW (Malkov & Yashunin, 2018, algorithms 1-5) by hnswlib, and the only file that
 * knows that package. It holds vectors under the shard's labels and answers with labels; what is
 * pending, what a score is and when to rebuild is decided above (`graph-index.ts`).
 *
 * What the package does not say, and what is done about it here:
 *
 * - Its own labels are never reused. A removed element keeps its slot, marked deleted, until a new
 *   element takes the slot over (`replaceDeleted`). Two elements with one label would then erase
 *   each other's entry, so each `add` draws a fresh graph label, and two arrays translate:
 *
 *       shard label --#toGraph--> graph label --#fromGraph--> shard label     NONE = not there
 *
 * - `add` ALWAYS allows the take-over. Inserting into a new slot while deleted elements exist can
 *   reach a region where every neighbour is deleted, and hnswlib then reads the last element of an
 *   empty vector. Taking over goes another way, which checks for that. With no deleted element
 *   the plain way is sound.
 * - `M` below 2 makes its level draw infinite; `searchKnn` throws when k exceeds the capacity; `ef`
 *   is one setting of the whole graph; vectors must be plain arrays; a filter must not throw.
 * - `writeIndex` does not notice a full disk, so the file's structure is checked afterwards.
 * - Reading and writing run on another thread. While a write is under way nothing may be added
 *   (its file would be torn), and removals are held back (masked by a filter) until `endSave`.
 * - Native memory is invisible to the garbage collector; `dispose` gives it back at once.
 * - Its errors are texts. They become `AppError('internal')` with the text as detail.
 */
import { open, rm } from 'node:fs/promises';
import hnswlib from 'hnswlib-node';
import { assert } from '../../../shared/base/assert.ts';
import type { Distance } from '../../../shared/domain/distance.ts';
import { AppError } from '../../../shared/errors/app-error.ts';
import { checkGraphFile } from './graph-file.ts';

export interface GraphConfig {
  dimension: number;
  /** Manhattan has no graph: hnswlib knows inner product and squared Euclid. */
  distance: Exclude<Distance, 'Manhattan'>;
  m: number;
  efConstruct: number;
  seed: number;
}

const NONE = 0xffff_ffff;
const M_MIN = 4;
const CAPACITY_START = 1_024;
const GROWTH = 1.5;
/** hnswlib keeps 65,536 mutexes a graph and one more an element. */
const MUTEX_BYTES = 40;
const GRAPH_FIXED_BYTES = 65_536 * MUTEX_BYTES;
/** Pointer, mutex, level, visited mark; and an entry of its hash table. */
const SLOT_FIXED_BYTES = 8 + MUTEX_BYTES + 4 + 2 + 40;

export class HnswlibGraph {
  readonly #config: GraphConfig;
  readonly #native: hnswlib.HierarchicalNSW;
  /** A plain array, because the addon takes nothing else; reused for each call. */
  readonly #point: number[];
  #toGraph = new Uint32Array(0);
  #fromGraph: Uint32Array<ArrayBuffer>;
  #nextGraphLabel = 0;
  #size = 0;
  #churn: number;
  #ef = 0;
  #saving = false;
  /** Graph labels removed during a save. */
  #heldBack: number[] = [];

  private constructor(config: GraphConfig, fromGraph: Uint32Array<ArrayBuffer>, churn: number) {
    const space = config.distance === 'Euclid' ? 'l2' : 'ip';
    this.#config = config;
    this.#native = new hnswlib.HierarchicalNSW(space, config.dimension);
    this.#point = new Array<number>(config.dimension).fill(0);
    this.#fromGraph = fromGraph;
    this.#nextGraphLabel = fromGraph.length;
    this.#churn = churn;
  }

  static create(config: GraphConfig): HnswlibGraph {
    const graph = new HnswlibGraph(config, new Uint32Array(0), 0);
    graph.#initNative(CAPACITY_START);
    return graph;
  }

  /** Reads what `save` wrote. The bytes of `file` must have been verified: hnswlib trusts them. */
  static async read(
    config: GraphConfig,
    file: string,
    saved: { fromGraph: Uint32Array<ArrayBuffer>; churn: number },
  ): Promise<HnswlibGraph> {
    const graph = new HnswlibGraph(config, saved.fromGraph, saved.churn);
    try {
      await graph.#native.readIndex(file, true);
    } catch (error) {
      throw nativeFailure(error);
    }
    for (let at = 0; at < saved.fromGraph.length; at += 1) {
      const label = saved.fromGraph[at] as number;
      if (label === NONE) continue;
      graph.#setToGraph(label, at);
      graph.#size += 1;
    }
    if (graph.#size > graph.slots) throw nativeFailure(new Error('more labels than slots'));
    return graph;
  }

  /** Elements that can be found. */
  get size(): number {
    return this.#size;
  }

  /** Slots in use, those of removed elements included. */
  get slots(): number {
    return this.#native.getCurrentCount();
  }

  get capacity(): number {
    return this.#native.getMaxElements();
  }

  /** Removals since the graph was built: each leaves the links around it a little worse. */
  get churn(): number {
    return this.#churn;
  }

  get saving(): boolean {
    return this.#saving;
  }

  /** An estimate: hnswlib does not tell. */
  get memoryBytes(): number {
    const { m, dimension } = this.#config;
    const slot = (2 * m + 1) * 4 + dimension * 4 + 8 + (m * 4 + 4) / (m - 1) + SLOT_FIXED_BYTES;
    const maps = this.#toGraph.byteLength + this.#fromGraph.byteLength;
    return Math.round(GRAPH_FIXED_BYTES + this.slots * slot + maps);
  }

  has(label: number): boolean {
    return (this.#toGraph[label] ?? NONE) !== NONE;
  }

  /** The label must not be there; no save may be under way. */
  add(label: number, vector: Float32Array): void {
    assert(!this.#saving && !this.has(label), 'a graph takes a label once, and not during a save');
    if (this.#size === this.slots && this.slots === this.capacity) this.#grow();
    const graphLabel = this.#nextGraphLabel;
    const point = this.#asPoint(vector);
    this.#call(() => this.#native.addPoint(point, graphLabel, true));
    this.#nextGraphLabel += 1;
    this.#setToGraph(label, graphLabel);
    this.#fromGraph = withRoom(this.#fromGraph, graphLabel);
    this.#fromGraph[graphLabel] = label;
    this.#size += 1;
  }

  /** The label must be there. */
  remove(label: number): void {
    const graphLabel = this.#toGraph[label] ?? NONE;
    assert(graphLabel !== NONE, 'a label that is removed is in the graph');
    this.#toGraph[label] = NONE;
    this.#fromGraph[graphLabel] = NONE;
    this.#size -= 1;
    this.#churn += 1;
    if (this.#saving) this.#heldBack.push(graphLabel);
    else this.#call(() => this.#native.markDelete(graphLabel));
  }

  /** At most `k` labels, near ones first, of those `accept` takes. May be fewer than there are. */
  search(
    query: Float32Array,
    k: number,
    ef: number,
    accept?: (label: number) => boolean,
  ): number[] {
    if (this.#size === 0) return [];
    const wanted = Math.min(k, this.#size);
    this.#setEf(Math.max(ef, wanted));
    const point = this.#asPoint(query);
    const filter = this.#filter(accept);
    const found = this.#call(() => this.#native.searchKnn(point, wanted, filter));
    return found.neighbors.map((graphLabel) => this.#fromGraph[graphLabel] as number);
  }

  /** Translation table to be kept beside the file; a copy. */
  labelsSnapshot(): Uint32Array<ArrayBuffer> {
    return this.#fromGraph.slice(0, this.#nextGraphLabel);
  }

  /** Writes the graph as it is now. The caller calls `endSave` afterwards, also on failure. */
  async save(file: string): Promise<void> {
    assert(!this.#saving && this.#size > 0, 'one save at a time, and of something');
    this.#saving = true;
    await rm(file, { force: true });
    const handle = await open(file, 'wx', 0o600);
    await handle.close();
    const { slots } = this;
    try {
      await this.#native.writeIndex(file);
    } catch (error) {
      throw nativeFailure(error);
    }
    await checkGraphFile(file, slots);
  }

  endSave(): void {
    this.#saving = false;
    const heldBack = this.#heldBack;
    this.#heldBack = [];
    for (const graphLabel of heldBack) this.#call(() => this.#native.markDelete(graphLabel));
  }

  /** Frees the native memory; the graph must not be used afterwards. */
  dispose(): void {
    assert(!this.#saving, 'a graph is not freed while it is being written');
    this.#initNative(1);
    this.#size = 0;
  }

  #initNative(maxElements: number): void {
    const { m, efConstruct: efConstruction, seed: randomSeed } = this.#config;
    const links = Math.max(M_MIN, m);
    this.#call(() =>
      this.#native.initIndex({
        maxElements,
        m: links,
        efConstruction,
        randomSeed,
        allowReplaceDeleted: true,
      }),
    );
  }

  #grow(): void {
    const capacity = Math.max(CAPACITY_START, Math.ceil(this.capacity * GROWTH));
    this.#call(() => this.#native.resizeIndex(capacity));
  }

  #filter(accept?: (label: number) => boolean): ((graphLabel: number) => boolean) | undefined {
    const fromGraph = this.#fromGraph;
    if (accept !== undefined) {
      return (graphLabel) => {
        const label = fromGraph[graphLabel] as number;
        return label !== NONE && accept(label);
      };
    }
    if (this.#heldBack.length === 0) return undefined;
    return (graphLabel) => fromGraph[graphLabel] !== NONE;
  }

  #setToGraph(label: number, graphLabel: number): void {
    this.#toGraph = withRoom(this.#toGraph, label);
    this.#toGraph[label] = graphLabel;
  }

  #setEf(ef: number): void {
    if (ef === this.#ef) return;
    this.#call(() => this.#native.setEf(ef));
    this.#ef = ef;
  }

  #asPoint(vector: Float32Array): number[] {
    const point = this.#point;
    assert(vector.length === point.length, 'a vector has the dimension of its graph');
    for (let i = 0; i < point.length; i += 1) point[i] = vector[i] as number;
    return point;
  }

  #call<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      throw nativeFailure(error);
    }
  }
}

function nativeFailure(error: unknown): AppError {
  const text = error instanceof Error ? error.message : 'not an error';
  return new AppError('internal', undefined, { detail: `graph: ${text}`, cause: error });
}

/** `map` or a larger copy which has an entry at `index`; new entries are NONE. */
function withRoom(map: Uint32Array<ArrayBuffer>, index: number): Uint32Array<ArrayBuffer> {
  if (index < map.length) return map;
  const next = new Uint32Array(Math.max(64, index + 1, Math.ceil(map.length * GROWTH))).fill(NONE);
  next.set(map);
  return next;
}
