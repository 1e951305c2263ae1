/**
 * What a shard asks of its index, whatever the kind. Labels are the shard's (small dense slots);
 * vectors are prepared by the caller (unit length under Cosine) and have the index's dimension.
 *
 * An added vector is found by the next search: it waits in the vector table and is scanned exactly
 * until `link` has put it into the graph.
 *
 *   absent --add--> pending --link--> linked
 *      ^               |  ^              |
 *      +----remove-----+  +--add again---+      remove: linked -> absent
 */
import type { Bitmap } from '../../shared/base/bitmap.ts';
import type { Engine } from '../../shared/domain/collection.ts';
import type { Distance } from '../../shared/domain/distance.ts';
import type { LinkJob } from './kernel/job.ts';
import type { WasmMemory } from './kernel/module.ts';

/** Nearest first; equal scores by ascending label. Scores follow Qdrant's conventions: inner
 * product under Cosine and Dot (higher is nearer), distance under Euclid and Manhattan. */
export interface Hits {
  labels: number[];
  scores: number[];
  /** Hits of a scan in slices that were removed before it ended; there may be others to take
   * their places. Absent when there were none. */
  gone?: number;
}

/** An exact search in slices, so that a large one does not keep the event loop. The index may
 * change between steps: rows are read as they are when the scan comes by. */
export interface Scan {
  /** Looks at up to `rowsMax` more rows; true when all have been seen. */
  step(rowsMax: number): boolean;
  /** The best so far; the answer once `step` has returned true. */
  hits(): Hits;
}

export interface IndexConfig {
  dimension: number;
  distance: Distance;
  /** Vectors are left to the rows where codes stand for them in memory; see `IndexOptions`. */
  onDisk?: boolean;
  hnsw: { m: number; efConstruct: number; engine?: Engine };
}

/** The vectors that rows hold, prepared as those of the index are; undefined where there is none.
 * Synchronous, some microseconds each. */
export type VectorsOf = (labels: ArrayLike<number>) => (Float32Array | undefined)[];

/** The graph is half changed: nothing of its index is to be trusted any more. */
export class BrokenGraph extends Error {
  override readonly name = 'BrokenGraph';
}

/** Links graphs in a thread of its own (`kernel/builder.ts`). */
export interface GraphBuilder {
  /** Resolves to the milliseconds that the job took. Rejects when it did not end well: then the
   * graph in `memory` is not to be trusted. */
  run(memory: WasmMemory, job: LinkJob): Promise<number>;
}

export interface IndexOptions {
  /** Live points from which a graph is kept; below, every search is an exact scan. */
  graphFrom: number;
  /** Seed of the graph's level draws: the same rows in the same order give the same graph. */
  seed: number;
  /** Without one, an index links in the thread that searches. */
  builder?: GraphBuilder;
  /** Of this shard; `onDisk` needs it. */
  vectorsOf?: VectorsOf;
}

/** One part of an index at rest. The shard hands these to `image/` and back, unread. A `pieces`
 * section is bytes in memory (copied as they are read; `byteLength` in all), a `file` section a
 * private file that its giver removes. */
export type IndexSection =
  | { name: string; byteLength: number; pieces: Iterable<Uint8Array> }
  | { name: string; file: string };

export interface SavedIndex {
  sections: IndexSection[];
  /** Ends the save: linking goes on, the scratch file is removed. Call once, whatever happened. */
  release(): Promise<void>;
}

export interface VectorIndex {
  readonly dimension: number;
  readonly distance: Distance;
  /** Live vectors. */
  readonly count: number;
  /** Live vectors which are in the graph; all of them when no graph is wanted. */
  readonly linked: number;
  /** Whether there is a graph (complete or not). Without one an image saves little. */
  readonly hasGraph: boolean;
  /** Whether `link` has something to do. */
  readonly linkPending: boolean;
  /** Whether searches have to scan so much that waits for `linkAside` that writers should wait, too. */
  readonly backlogged: boolean;
  /** Memory held, our own and (estimated) the native graph's. */
  readonly memoryBytes: number;
  /** The live labels. Owned by the index: clone before changing. */
  readonly live: Bitmap;

  /** Throws `AppError` when the index can not take `more` new points; asked before they are
   * committed. */
  assertRoom(more: number): void;
  /** Adds or replaces; the next search finds it. The vector is copied. */
  add(label: number, vector: Float32Array): void;
  /** Removes; does nothing when absent. */
  remove(label: number): void;
  has(label: number): boolean;

  /** Up to `k` nearest of the live (and allowed) points: the graph's answer with at least `ef`
   * candidates, joined with an exact scan of the few that are pending. Synchronous. Undefined when
   * an exact scan is the better or the only way: then `startScan`. */
  search(query: Float32Array, k: number, ef: number, allowed?: Bitmap): Hits | undefined;
  /** An exact search of the live (and allowed) points. `allowed` must not change meanwhile. */
  startScan(query: Float32Array, k: number, allowed?: Bitmap): Scan;

  /** Links pending points until `untilDone()` says stop (asked after each point, about 0.2-2 ms)
   * or nothing is pending. True when nothing is left to do. Does nothing (and returns true) during
   * a save; call again after `release`. */
  link(untilDone: () => boolean): boolean;
  /** Has a few points linked by the builder, some milliseconds of its time; instead of `link`
   * where it is there. Searches, adds and removes go on. Does nothing during a save. Rejects with
   * `BrokenGraph`, or with `AppError` when nothing could be done and nothing is broken. */
  readonly linkAside: (() => Promise<void>) | undefined;

  /** From now on `link` also erases what `remove` left, as far as it has not yet. */
  purge(): void;

  /** The index as of now, in sections; `scratchFile` is written when there is a graph. Searches,
   * adds and removes may go on: rows that change before `release` may be saved in either state,
   * so the caller notes its version BEFORE the call and, when the image is opened, replays newer
   * rows and removes labels that no longer exist. One save at a time. */
  save(scratchFile: string): Promise<SavedIndex>;

  /** Frees native memory (now, or when a save that is under way is released). The index must not
   * be used afterwards. */
  close(): void;
}
