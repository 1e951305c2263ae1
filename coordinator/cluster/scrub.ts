/**
 * Compares the replicas of each shard once a day, and whenever an operator asks: range by range,
 * over ids, versions, payloads and vectors. Where replicas in sync differ, which no acknowledged
 * write explains, what most of them hold is right, and what the first of them holds when they are
 * as many; the range is copied to the others and reported.
 *
 *   digest of a range at each replica --same--> next range
 *        | not the same: a write may have been under way
 *        v
 *   again, with writes paused -- same --> next range
 *        | not the same
 *        v
 *   copied from the majority, logged as `replica_differs`
 */
import type { Clock } from '../../shared/base/clock.ts';
import type { ShardId, WorkerId } from '../../shared/base/ids.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Log } from '../../shared/log/log.ts';
import type { ReplicasTable } from '../store/replicas.ts';
import type { PageLink } from './page-link.ts';
import {
  copyRange,
  isSameRange,
  RANGE_ROWS,
  type Range,
  type RangeDigest,
  rangeOf,
} from './ranges.ts';
import type { ReplicaSet } from './replica-set.ts';

export interface ScrubDeps {
  pages: PageLink;
  setOf: (shardId: ShardId) => ReplicaSet | undefined;
  store: Pick<ReplicasTable, 'leastCompared' | 'noteCompared'>;
  clock: Clock;
  log: Log;
}

export interface ScrubReport {
  ranges: number;
  /** Rows that were copied because replicas differed. */
  repairedRows: number;
}

const EVERY_MS = 24 * 3_600_000;
/** Between two shards, so that a night's work spreads. */
const LOOK_MS = 10_000;
/** Shards that are looked at for one whose replicas can be compared. */
const LOOKED_AT = 10;
/** How long writes under way may hold up a second look at one range. */
const PAUSE_WAIT_MS = 1_000;

export class Scrub {
  readonly #deps: ScrubDeps;
  #cancel: (() => void) | undefined;
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(deps: ScrubDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#cancel = this.#deps.clock.after(LOOK_MS, () => this.#look());
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#running;
  }

  /** Compares all replicas in sync of one shard. Throws `unavailable` when there are not two. */
  async compare(set: ReplicaSet): Promise<ScrubReport> {
    const workers = set.readers();
    if (workers.length < 2) {
      throw new AppError('unavailable', 'fewer than two replicas in sync are connected');
    }
    const report = { ranges: 0, repairedRows: 0 };
    let from: Range['from'];
    for (;;) {
      const startMs = this.#deps.pages.nowMs;
      const { next, rows } = await this.#compareRange(set, workers, from);
      report.ranges += 1;
      report.repairedRows += rows;
      if (next === null) break;
      from = next;
      await this.#deps.pages.restSince(startMs);
    }
    this.#deps.store.noteCompared(set.shardId);
    return report;
  }

  async #compareRange(set: ReplicaSet, workers: readonly WorkerId[], from: Range['from']) {
    const { digests, next } = await this.#digests(set.shardId, workers, from);
    const [first, ...others] = digests;
    const isSame = others.every((digest) => first !== undefined && isSameRange(first, digest));
    if (isSame) return { next, rows: 0 };
    return set.exclusive(PAUSE_WAIT_MS, () => this.#repair(set, from));
  }

  /** Of the range that begins at `from` and ends where that of the first worker ends. */
  async #digests(shardId: ShardId, workers: readonly WorkerId[], from: Range['from']) {
    const { pages } = this.#deps;
    const [first, ...others] = workers.map((workerId) => ({ shardId, workerId }));
    if (first === undefined) throw new AppError('unavailable');
    const rest = { limit: RANGE_ROWS, deep: true };
    const wanted = { range: rangeOf(from, undefined), ...rest };
    const theirs = (await pages.ask(first, 'range-digest', wanted)).body;
    const same = { range: rangeOf(from, theirs.next ?? undefined), ...rest };
    const asked = others.map(async (at) => (await pages.ask(at, 'range-digest', same)).body);
    return { digests: [theirs, ...(await Promise.all(asked))], next: theirs.next };
  }

  /** While no write is under way: those who differ then, do differ. */
  async #repair(set: ReplicaSet, from: Range['from']) {
    const { pages, log } = this.#deps;
    const { shardId } = set;
    const workers = set.readers();
    const { digests, next } = await this.#digests(shardId, workers, from);
    const right = majorityOf(digests);
    const source = workers[right];
    let rows = 0;
    for (const [i, target] of workers.entries()) {
      const [ours, theirs] = [digests[i], digests[right]];
      if (source === undefined || ours === undefined || theirs === undefined) continue;
      if (isSameRange(ours, theirs)) continue;
      const range = rangeOf(from, next ?? undefined);
      const copied = await copyRange(pages, { shardId, source, target }, range, true);
      log.event('replica_differs', { shardId, workerId: target, rows: copied });
      rows += Math.max(1, copied);
    }
    return { next, rows };
  }

  /** Compares one shard that is due. */
  #look(): void {
    if (this.#closed) return;
    this.#running = this.#compareDue().finally(() => {
      this.#running = undefined;
      if (!this.#closed) this.#cancel = this.#deps.clock.after(LOOK_MS, () => this.#look());
    });
  }

  #dueNow(): ReplicaSet | undefined {
    const { setOf, store, clock } = this.#deps;
    for (const shardId of store.leastCompared(clock.now() - EVERY_MS, LOOKED_AT)) {
      const set = setOf(shardId);
      if (set !== undefined && set.readers().length > 1) return set;
      // Who is behind is compared when it is levelled; the others come again tomorrow.
      store.noteCompared(shardId);
    }
    return undefined;
  }

  async #compareDue(): Promise<void> {
    let shardId: ShardId | undefined;
    try {
      const set = this.#dueNow();
      shardId = set?.shardId;
      if (set !== undefined) await this.compare(set);
    } catch (error) {
      // A worker that left, a full disk: the next look may fare better.
      if (!this.#closed) this.#deps.log.event('shard_failed', { shardId, place: 'scrub', error });
    }
  }
}

/** The place of one that agrees with the most, the first among equals. */
export function majorityOf(digests: readonly RangeDigest[]): number {
  let best = 0;
  let most = 0;
  digests.forEach((digest, i) => {
    const agree = digests.filter((other) => isSameRange(digest, other)).length;
    if (agree > most) [best, most] = [i, agree];
  });
  return best;
}
