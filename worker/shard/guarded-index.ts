/**
 * The index of a shard behind a barrier. A trap of the kernel (a `WebAssembly.RuntimeError`: a
 * defect of ours, or memory that was damaged) may leave the shard's memory half written, so from
 * that moment on nothing is read from it or written to it:
 *
 *   whole --trap--> trapped: whoever asks hears `unavailable`
 *
 * The registry then opens the shard again from its rows (`registry.ts`). Other shards have memories
 * of their own and go on.
 */
import type { Bitmap } from '../../shared/base/bitmap.ts';
import type { ShardId } from '../../shared/base/ids.ts';
import type { Distance } from '../../shared/domain/distance.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Log } from '../../shared/log/log.ts';
import { isTrap } from '../index/kernel/module.ts';
import {
  BrokenGraph,
  type Hits,
  type SavedIndex,
  type Scan,
  type VectorIndex,
} from '../index/vector-index.ts';

export class GuardedIndex implements VectorIndex {
  readonly #index: VectorIndex;
  readonly #shardId: ShardId;
  readonly #log: Log;
  #state: 'whole' | 'trapped' = 'whole';

  constructor(index: VectorIndex, { shardId, log }: { shardId: ShardId; log: Log }) {
    this.#index = index;
    this.#shardId = shardId;
    this.#log = log;
  }

  get trapped(): boolean {
    return this.#state === 'trapped';
  }

  // --- what is known without the kernel

  get dimension(): number {
    return this.#index.dimension;
  }

  get distance(): Distance {
    return this.#index.distance;
  }

  get count(): number {
    return this.#index.count;
  }

  get linked(): number {
    return this.#index.linked;
  }

  get live(): Bitmap {
    return this.#index.live;
  }

  get memoryBytes(): number {
    return this.#index.memoryBytes;
  }

  has(label: number): boolean {
    return this.#index.has(label);
  }

  /** Of a trapped index nothing is saved. */
  get hasGraph(): boolean {
    return !this.trapped && this.#index.hasGraph;
  }

  get linkPending(): boolean {
    return !this.trapped && this.#index.linkPending;
  }

  get backlogged(): boolean {
    return !this.trapped && this.#index.backlogged;
  }

  get linkAside(): (() => Promise<void>) | undefined {
    return this.#index.linkAside && this.#linkAside;
  }

  // --- what the kernel does

  assertRoom(more: number): void {
    this.#run(() => this.#index.assertRoom(more));
  }

  add(label: number, vector: Float32Array): void {
    this.#run(() => this.#index.add(label, vector));
  }

  remove(label: number): void {
    this.#run(() => this.#index.remove(label));
  }

  search(query: Float32Array, k: number, ef: number, allowed?: Bitmap): Hits | undefined {
    return this.#run(() => this.#index.search(query, k, ef, allowed));
  }

  startScan(query: Float32Array, k: number, allowed?: Bitmap): Scan {
    const scan = this.#run(() => this.#index.startScan(query, k, allowed));
    return {
      step: (rowsMax) => this.#run(() => scan.step(rowsMax)),
      hits: () => this.#run(() => scan.hits()),
    };
  }

  /** Nobody waits for the outcome of linking, so a trap does not throw: there is no more to link. */
  link(untilDone: () => boolean): boolean {
    if (this.trapped) return true;
    try {
      return this.#index.link(untilDone);
    } catch (error) {
      this.#noteTrap(error);
      return true;
    }
  }

  readonly #linkAside = async (): Promise<void> => {
    if (this.trapped) return;
    try {
      await this.#index.linkAside?.();
    } catch (error) {
      if (!(error instanceof BrokenGraph)) throw error;
      this.#trap(error.cause);
    }
  };

  purge(): void {
    if (!this.trapped) this.#run(() => this.#index.purge());
  }

  async save(scratchFile: string): Promise<SavedIndex> {
    const saved = await this.#run(() => this.#index.save(scratchFile));
    const sections = saved.sections.map((section) => {
      if ('file' in section) return section;
      return { ...section, pieces: this.#whilstWhole(section.pieces) };
    });
    return { sections, release: () => saved.release() };
  }

  /** A trap in the middle of a save ends it: half of a memory must not be sealed. */
  *#whilstWhole(pieces: Iterable<Uint8Array>): Iterable<Uint8Array> {
    for (const piece of pieces) yield this.#run(() => piece);
  }

  close(): void {
    this.#index.close();
  }

  #run<T>(use: () => T): T {
    if (this.trapped) throw new AppError('unavailable');
    try {
      return use();
    } catch (error) {
      this.#noteTrap(error);
      throw new AppError('unavailable', undefined, { cause: error });
    }
  }

  /** Throws what is no trap. */
  #noteTrap(error: unknown): void {
    if (!isTrap(error)) throw error;
    this.#trap(error);
  }

  #trap(error: unknown): void {
    this.#state = 'trapped';
    this.#log.event('shard_trapped', { shardId: this.#shardId, error });
  }
}
