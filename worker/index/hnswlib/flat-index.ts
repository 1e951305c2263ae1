/**
 * The index without a graph: every search is an exact scan. For Manhattan (for which there is no
 * graph) and for collections that ask for none.
 */
import type { Bitmap } from '../../../shared/base/bitmap.ts';
import type { Distance } from '../../../shared/domain/distance.ts';
import { METRICS } from '../metric.ts';
import type { IndexConfig, SavedIndex, Scan, VectorIndex } from '../vector-index.ts';
import { ExactScan } from './exact-scan.ts';
import { toSections } from './index-sections.ts';
import { VectorTable } from './vector-table.ts';

export class FlatIndex implements VectorIndex {
  readonly dimension: number;
  readonly distance: Distance;
  readonly linkAside = undefined;
  readonly backlogged = false;
  readonly hasGraph = false;
  readonly linkPending = false;
  readonly #config: IndexConfig;
  readonly #table: VectorTable;

  constructor(config: IndexConfig, table = new VectorTable(config.dimension)) {
    this.dimension = config.dimension;
    this.distance = config.distance;
    this.#config = config;
    this.#table = table;
  }

  get count(): number {
    return this.#table.count;
  }

  get linked(): number {
    return this.#table.count;
  }

  get memoryBytes(): number {
    return this.#table.memoryBytes;
  }

  get live(): Bitmap {
    return this.#table.live;
  }

  assertRoom(): void {
    // Bounded by the memory of the process only.
  }

  add(label: number, vector: Float32Array): void {
    this.#table.set(label, vector);
  }

  remove(label: number): void {
    this.#table.delete(label);
  }

  has(label: number): boolean {
    return this.#table.has(label);
  }

  search(): undefined {
    return undefined;
  }

  startScan(query: Float32Array, k: number, allowed?: Bitmap): Scan {
    return startExactScan(this.#table, this.distance, { query, k, allowed });
  }

  link(): boolean {
    return true;
  }

  purge(): void {
    // A removed row is zeroed at once.
  }

  async save(): Promise<SavedIndex> {
    return { sections: toSections(this.#config, this.#table), release: async () => undefined };
  }

  close(): void {
    // Nothing outside the garbage collector's reach.
  }
}

interface Wanted {
  query: Float32Array;
  k: number;
  allowed: Bitmap | undefined;
}

/** An exact search in slices. */
export function startExactScan(table: VectorTable, distance: Distance, wanted: Wanted): Scan {
  const target = { table, metric: METRICS[distance], rows: table.live, allowed: wanted.allowed };
  return new ExactScan(target, wanted.query, wanted.k);
}
