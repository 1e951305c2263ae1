/**
 * Compares the replicas of each shard once a day, and whenever an operator asks: range by range,
 * over ids, versions, payloads and vectors. Where replicas in sync differ, which no acknowledged
 * write explains, each looks whether its files are sound, and one whose are not leaves. Of the others,
 * what most of them hold is right, and the one with the newest row when they are as many; the range
 * is copied to the others and reported.
 *
 *   digest of a range at each replica --same--> next range
 *        | not the same: a write may have been under way
 *        v
 *   again, with writes paused -- same --> next range
 *        | not the same
 *        v
 *   each verifies its files -- damaged --> it leaves, and is levelled (`levelling.ts`)
 *        | all are sound
 *        v
 *   copied from the majority, logged as `replica_differs`
 */
import type { Clock } from '../../../shared/base/clock.ts';
import type { ShardId, WorkerId } from '../../../shared/base/ids.ts';
import { AppError } from '../../../shared/errors/app-error.ts';
import type { Log } from '../../../shared/log/log.ts';
import type { ReplicasTable } from '../../store/replicas.ts';
import type { ReplicaSet } from '../replicas/replica-set.ts';
import type { PageLink } from './page-link.ts';
import {
  copyRange,
  isSameRange,
  RANGE_ROWS,
  type Range,
  type RangeDigest,
  rangeOf,
} from './ranges.ts';

export interface ScrubDeps {
  pages: PageLink;
  setOf: (shardId: ShardId) => ReplicaSet | undefined;
  store: Pick<ReplicasTable, 'leastCompared' | 'noteCompared' | 'countToCompare'>;
  clock: Clock;
  log: Log;
}

/** What became of the comparisons of shards since the start of the process. */
export interface ScrubCounts {
  compared: number;
  /** Of these, those whose replicas differed. */
  differed: number;
  repairedRows: number;
  /** Not two replicas in sync could be asked. */
  skipped: number;
  failed: number;
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
  readonly counts: ScrubCounts = {
    compared: 0,
    differed: 0,
    repairedRows: 0,
    skipped: 0,
    failed: 0,
  };

  constructor(deps: ScrubDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#cancel = this.#deps.clock.after(LOOK_MS, () => this.#look());
  }

  /** Shards were asked for: does not wait for its next look. */
  soon(): void {
    if (this.#closed || this.#running !== undefined) return;
    this.#cancel?.();
    this.#look();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#running;
  }

  /** Compares the replicas in sync of one shard that are at these workers. */
  async #compare(set: ReplicaSet, workers: readonly WorkerId[]): Promise<void> {
    let repairedRows = 0;
    let from: Range['from'];
    for (;;) {
      const startMs = this.#deps.pages.nowMs;
      const { next, rows } = await this.#compareRange(set, workers, from);
      repairedRows += rows;
      if (next === null) break;
      from = next;
      await this.#deps.pages.restSince(startMs);
    }
    this.#deps.store.noteCompared(set.shardId);
    this.counts.compared += 1;
    this.counts.differed += repairedRows > 0 ? 1 : 0;
    this.counts.repairedRows += repairedRows;
  }

  async #compareRange(set: ReplicaSet, workers: readonly WorkerId[], from: Range['from']) {
    const { digests, next } = await this.#digests(set.shardId, workers, from);
    if (areSame(digests)) return { next, rows: 0 };
    const { shardId } = set;
    const again = await set.exclusive(PAUSE_WAIT_MS, () => this.#digests(shardId, workers, from));
    if (areSame(again.digests)) return { next: again.next, rows: 0 };
    const { pages } = this.#deps;
    const verified = await Promise.allSettled(
      workers.map((workerId) => pages.verify({ shardId, workerId })),
    );
    const failed = verified.find((one) => one.status === 'rejected');
    if (failed !== undefined) throw failed.reason;
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
      const copied = await copyRange(pages, { shardId, source, target }, range, { recount: false });
      log.event('replica_differs', { shardId, workerId: target, rows: copied });
      rows += Math.max(1, copied);
    }
    return { next, rows };
  }

  /** Compares one shard that is due, or all that were asked for. */
  #look(): void {
    if (this.#closed) return;
    this.#running = this.#compareDue().finally(() => {
      this.#running = undefined;
      if (!this.#closed) this.#cancel = this.#deps.clock.after(LOOK_MS, () => this.#look());
    });
  }

  async #compareDue(): Promise<void> {
    let goesOn = true;
    while (goesOn && !this.#closed) {
      goesOn = (await this.#compareNext()) && this.#deps.store.countToCompare() > 0;
    }
  }

  #dueNow(): ReplicaSet | undefined {
    const { setOf, store, clock } = this.#deps;
    for (const shardId of store.leastCompared(clock.now() - EVERY_MS, LOOKED_AT)) {
      const set = setOf(shardId);
      if (set !== undefined && set.inSync.length > 1) return set;
      this.#skip(shardId);
    }
    return undefined;
  }

  /** Who is behind is compared when it is levelled; the others come again tomorrow. */
  #skip(shardId: ShardId): void {
    this.#deps.store.noteCompared(shardId);
    this.counts.skipped += 1;
  }

  /** False when it failed: a worker that left, a full disk. The next look may fare better. */
  async #compareNext(): Promise<boolean> {
    let shardId: ShardId | undefined;
    try {
      const set = this.#dueNow();
      if (set === undefined) return true;
      shardId = set.shardId;
      await set.readable(this.#deps.pages.deadline());
      const workers = set.readers();
      if (workers.length > 1) await this.#compare(set, workers);
      else this.#skip(shardId);
      return true;
    } catch (error) {
      this.counts.failed += 1;
      if (!this.#closed) this.#deps.log.event('shard_failed', { shardId, place: 'scrub', error });
      return false;
    }
  }
}

function areSame([first, ...others]: readonly RangeDigest[]): boolean {
  return others.every((digest) => first !== undefined && isSameRange(first, digest));
}

/** The place of one that agrees with the most; among equals one with the newest row. */
function majorityOf(digests: readonly RangeDigest[]): number {
  const ranks = digests.map((digest, place) => {
    const agree = digests.filter((other) => isSameRange(digest, other)).length;
    return { place, agree, newest: digest.newest };
  });
  const [best] = ranks.toSorted((a, b) => b.agree - a.agree || b.newest - a.newest);
  return best?.place ?? 0;
}
