/**
 * Writers and watchers at work on one collection while something goes wrong beside them. Each writer
 * owns a range of ids and knows what is there; watchers hold every answer against what was possible
 * while it was under way (`model/timeline.ts`).
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../shared/base/clock.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import type { CollectionClient } from '../model/collection-client.ts';
import { Generator } from '../model/generate.ts';
import type { Distance } from '../model/model.ts';
import { RangeWriter } from '../model/range-writer.ts';
import { Timeline } from '../model/timeline.ts';
import { Watcher } from '../model/watcher.ts';

/** Of each owner at first; there are some more ids. */
const POINTS = 2_000;
const IDS_PER_POINT = 1.25;
/** Between the steps of one writer or watcher: faults are what is tested, not load. */
const PAUSE_MS = 10;

export interface StormOptions {
  writers: number;
  watchers: number;
  /** Of each owner at first. */
  points?: number;
  distance: Distance;
  random: SeededRandom;
  /** For writes, and for reads. */
  writing: CollectionClient;
  reading: CollectionClient;
}

export class Storm {
  readonly #points: number;
  readonly #owners: RangeWriter[];
  readonly #watchers: Watcher[];
  readonly #failed = new AbortController();
  readonly #running: Promise<void>[] = [];
  /** Of reads, in milliseconds. */
  readonly latencies: number[] = [];
  readonly done: Record<string, number> = {};
  #stopping = false;

  constructor({
    writers,
    watchers,
    points = POINTS,
    distance,
    random,
    writing,
    reading,
  }: StormOptions) {
    this.#points = points;
    const idsPerOwner = points * IDS_PER_POINT;
    const timeline = new Timeline();
    const generatorOf = (first: number, count: number) => {
      return new Generator(new SeededRandom(random.below(2 ** 31)), { first, count });
    };
    this.#owners = Array.from({ length: writers + 1 }, (_, owner) => {
      const generate = generatorOf(owner * idsPerOwner, idsPerOwner);
      return new RangeWriter({ client: writing, timeline, generate }, owner);
    });
    this.#watchers = Array.from({ length: watchers }, () => {
      const generate = generatorOf(0, (writers + 1) * idsPerOwner);
      const parts = { client: reading, timeline, generate };
      return new Watcher(parts, { distance, owners: writers + 1 });
    });
  }

  /** The first points. Those of owner 0 are never touched again. */
  async fill(): Promise<void> {
    for (const owner of this.#owners) await owner.largeUpsert(this.#points);
  }

  start(): void {
    for (const owner of this.#owners.slice(1)) {
      this.#run(async () => this.#note(await owner.smallStep()));
    }
    for (const watcher of this.#watchers) {
      this.#run(async () => {
        const startMs = systemClock.monotonicMs();
        this.#note(await watcher.step());
        this.latencies.push(systemClock.monotonicMs() - startMs);
      });
    }
  }

  /** Whether a check has failed; `stop` throws it. */
  get failed(): boolean {
    return this.#failed.signal.aborted;
  }

  /** Ends the work; throws the first failure. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#running);
    this.#failed.signal.throwIfAborted();
  }

  /** Everything acknowledged is there, and nothing else. */
  async check(): Promise<void> {
    for (const owner of this.#owners) await owner.check();
  }

  /** A quantile of the latencies of reads, in milliseconds. */
  latencyMs(quantile: number): number {
    const sorted = this.latencies.toSorted((a, b) => a - b);
    return sorted[Math.floor(quantile * (sorted.length - 1))] ?? 0;
  }

  #run(step: () => Promise<void>): void {
    const loop = async () => {
      while (!this.#stopping && !this.failed) {
        await step();
        await sleep(PAUSE_MS);
      }
    };
    this.#running.push(loop().catch((error: unknown) => this.#failed.abort(error)));
  }

  #note(name: string): void {
    this.done[name] = (this.done[name] ?? 0) + 1;
  }
}
