/**
 * The index with a graph. Truth is the vector table; the graph is a shortcut over most of it.
 *
 *   points < graphFrom     no graph, every search is an exact scan
 *   points >= graphFrom    `link` builds one; what it lacks is scanned exactly beside it
 *   points < graphFrom/2   the graph is dropped again (half, so that it does not flutter)
 *
 * Replacing and removing wears a graph: slots are taken over in place, and links around them are
 * repaired only locally, until some points can not be reached any more. So after as many removals
 * as `REBUILD_CHURN` of its size a second graph is built beside it, from the table, while the first
 * goes on serving; then they are swapped.
 *
 *             add, remove (both graphs are told)
 *                |                |
 *        serving graph      rebuild graph --complete--> becomes the serving graph
 *            + todo             + todo
 */

import { rm } from 'node:fs/promises';
import { assert } from '../../../shared/base/assert.ts';
import { Bitmap } from '../../../shared/base/bitmap.ts';
import type { Distance } from '../../../shared/domain/distance.ts';
import { METRICS } from '../metric.ts';
import { TopK } from '../top-k.ts';
import type {
  Hits,
  IndexConfig,
  IndexOptions,
  SavedIndex,
  Scan,
  VectorIndex,
} from '../vector-index.ts';
import { nearnessOf, scanInto } from './exact-scan.ts';
import { startExactScan } from './flat-index.ts';
import { GraphBuild } from './graph-build.ts';
import { type GraphConfig, HnswlibGraph } from './hnswlib-index.ts';
import { type SavedGraph, toSections } from './index-sections.ts';
import { VectorTable } from './vector-table.ts';

/** Removals, as a share of the graph's size, after which it is built again. */
const REBUILD_CHURN = 0.5;
/**
 * When an exact scan costs less than the graph. With a share `s` of the points allowed, a graph
 * search meets about `ef / s` points before it has `ef` allowed ones, and asks the filter (a call
 * out of native code) for each; the scan looks at `s * size` rows. They cost the same at
 *
 *   allowed = sqrt(GRAPH_COST * ef * size)     about 5,700 of 62,666 at ef 128
 *
 * Without a filter this says: scan up to `GRAPH_COST * ef` points.
 */
const GRAPH_COST = 4;

/** Pending floats that a search scans by itself, at about a nanosecond each; more is for a scan in
 * slices, which does not hold up others. */
const PENDING_FLOATS_MAX = 2 ** 22;

export class GraphIndex implements VectorIndex {
  readonly dimension: number;
  readonly distance: Distance;
  readonly linkAside = undefined;
  readonly backlogged = false;
  readonly #config: IndexConfig;
  readonly #graphConfig: GraphConfig;
  readonly #graphFrom: number;
  readonly #table: VectorTable;
  #serving: GraphBuild | undefined;
  #rebuild: GraphBuild | undefined;
  #state: 'open' | 'saving' | 'closing' | 'closed' = 'open';

  constructor(
    config: IndexConfig & { distance: GraphConfig['distance'] },
    options: IndexOptions,
    restored?: { table: VectorTable; graph: HnswlibGraph | undefined },
  ) {
    this.dimension = config.dimension;
    this.distance = config.distance;
    this.#config = config;
    this.#graphConfig = {
      dimension: config.dimension,
      distance: config.distance,
      ...config.hnsw,
      seed: options.seed,
    };
    this.#graphFrom = options.graphFrom;
    this.#table = restored?.table ?? new VectorTable(config.dimension);
    if (restored?.graph !== undefined) this.#serving = resume(restored.graph, this.#table);
  }

  get count(): number {
    return this.#table.count;
  }

  get linked(): number {
    if (!this.#graphWanted) return this.#table.count;
    return this.#serving?.graph.size ?? 0;
  }

  get hasGraph(): boolean {
    return this.#serving !== undefined;
  }

  get linkPending(): boolean {
    if (!this.#graphWanted || this.#state === 'closed') return false;
    if (this.#serving === undefined || this.#rebuild !== undefined) return true;
    return this.#serving.todoCount > 0 || this.#isWorn(this.#serving.graph);
  }

  get memoryBytes(): number {
    const graphs = [this.#serving, this.#rebuild];
    const graphBytes = graphs.reduce((sum, build) => sum + (build?.graph.memoryBytes ?? 0), 0);
    return this.#table.memoryBytes + graphBytes;
  }

  get live(): Bitmap {
    return this.#table.live;
  }

  assertRoom(): void {
    // Bounded by the memory of the process only.
  }

  add(label: number, vector: Float32Array): void {
    this.#table.set(label, vector);
    this.#serving?.add(label);
    this.#rebuild?.add(label);
  }

  remove(label: number): void {
    if (!this.#table.has(label)) return;
    this.#table.delete(label);
    this.#serving?.remove(label);
    this.#rebuild?.remove(label);
    if (this.#state === 'open' && this.#table.count < this.#graphFrom / 2) this.#dropGraphs();
  }

  has(label: number): boolean {
    return this.#table.has(label);
  }

  search(query: Float32Array, k: number, ef: number, allowed?: Bitmap): Hits | undefined {
    const serving = this.#serving;
    if (serving === undefined || serving.todoCount > serving.graph.size) return undefined;
    if (serving.todoCount * query.length > PENDING_FLOATS_MAX) return undefined;
    const reachable =
      allowed === undefined ? serving.graph.size : this.#reachable(serving, allowed);
    const candidates = Math.max(ef, k);
    if (reachable ** 2 <= GRAPH_COST * candidates * serving.graph.size) return undefined;
    const accept = allowed === undefined ? undefined : (label: number) => allowed.has(label);
    const labels = serving.graph.search(query, k, ef, accept);
    if (labels.length < Math.min(k, reachable)) return undefined;
    const metric = METRICS[this.distance];
    const exactQuery = Float64Array.from(query);
    const top = new TopK(k);
    for (const label of labels) {
      top.offer(label, nearnessOf(this.#table, metric, label, exactQuery));
    }
    if (serving.todoCount > 0) {
      scanInto({ table: this.#table, metric, rows: serving.todo, allowed }, exactQuery, top);
    }
    return top.hits(metric);
  }

  startScan(query: Float32Array, k: number, allowed?: Bitmap): Scan {
    return startExactScan(this.#table, this.distance, { query, k, allowed });
  }

  link(untilDone: () => boolean): boolean {
    if (this.#state !== 'open') return true;
    while (this.linkPending) {
      this.#linkOne();
      if (untilDone()) break;
    }
    return !this.linkPending;
  }

  purge(): void {
    // A removed row is zeroed at once; the native graph keeps its copy until it is built again.
  }

  async save(scratchFile: string): Promise<SavedIndex> {
    assert(this.#state === 'open', 'one save at a time');
    const graph = this.#serving?.graph;
    if (graph === undefined || graph.size === 0) {
      const sections = toSections(this.#config, this.#table);
      return { sections, release: async () => undefined };
    }
    this.#state = 'saving';
    const { m, efConstruct } = this.#graphConfig;
    const saved: SavedGraph = {
      m,
      efConstruct,
      churn: graph.churn,
      fromGraph: graph.labelsSnapshot(),
      file: scratchFile,
    };
    const sections = toSections(this.#config, this.#table, saved);
    try {
      await graph.save(scratchFile);
    } catch (error) {
      await this.#endSave(graph, scratchFile);
      throw error;
    }
    return { sections, release: () => this.#endSave(graph, scratchFile) };
  }

  close(): void {
    if (this.#state === 'saving') this.#state = 'closing';
    if (this.#state !== 'open') return;
    this.#state = 'closed';
    this.#dropGraphs();
  }

  /** How many allowed points are in the graph. */
  #reachable(serving: GraphBuild, allowed: Bitmap): number {
    return this.#table.live.clone().and(allowed).andNot(serving.todo).count();
  }

  get #graphWanted(): boolean {
    return this.#serving !== undefined || this.#table.count >= this.#graphFrom;
  }

  #isWorn(graph: HnswlibGraph): boolean {
    return graph.churn > REBUILD_CHURN * Math.max(graph.size, this.#graphFrom);
  }

  #linkOne(): void {
    this.#serving ??= new GraphBuild(HnswlibGraph.create(this.#graphConfig), this.live.clone());
    if (this.#rebuild === undefined && this.#isWorn(this.#serving.graph)) {
      this.#rebuild = new GraphBuild(HnswlibGraph.create(this.#graphConfig), this.live.clone());
    }
    const build = this.#rebuild ?? this.#serving;
    if (build.todoCount > 0) build.linkNext(this.#table);
    if (build === this.#rebuild && build.todoCount === 0) {
      this.#serving.graph.dispose();
      this.#serving = build;
      this.#rebuild = undefined;
    }
  }

  async #endSave(graph: HnswlibGraph, scratchFile: string): Promise<void> {
    graph.endSave();
    const closing = this.#state === 'closing';
    this.#state = 'open';
    if (closing) this.close();
    else if (this.#table.count < this.#graphFrom / 2) this.#dropGraphs();
    await rm(scratchFile, { force: true });
  }

  #dropGraphs(): void {
    this.#serving?.graph.dispose();
    this.#rebuild?.graph.dispose();
    this.#serving = undefined;
    this.#rebuild = undefined;
  }
}

/** A graph that was read: what it lacks is what the table has and it has not. */
function resume(graph: HnswlibGraph, table: VectorTable): GraphBuild {
  const todo = new Bitmap();
  table.live.forEach((label) => {
    if (!graph.has(label)) todo.add(label);
  });
  return new GraphBuild(graph, todo);
}
