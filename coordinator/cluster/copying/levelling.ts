/**
 * Brings a replica that is behind level with one in sync, through the coordinator, while reads and
 * writes go on:
 *
 *   1  the target gets the shard and its configuration, if it lacks them
 *   2  passes: rows, tombstones and writes that take effect once, newer than what the target has, a
 *      page at a time; each pass takes what was written during the one before, so they grow shorter
 *   3  with writes paused for a moment: the last pass, and both say what they hold
 *          the same ------> what was noted of writes goes to the ledger (`metering.ts`), and it is in
 *                           sync, and gets every write from now on
 *          not the same --> ranges are compared, and step 2 again
 *
 * Ranges are compared instead of step 2 when the target is empty or so far behind that the source
 * has forgotten tombstones, and when the two differ after all (a write that only the target had, a
 * damaged row): ranges of ids whose digests differ are made the same, whatever is in them.
 *
 * A target whose files are damaged is mended by ranges, too. When that can not be done, or was done and
 * has not helped, its files are erased and it begins anew, from a source that was seen to be sound.
 *
 * What may still be undone at the source (`settledVersion`) is copied like the rest, and taken once more by
 * the next pass: it may have become nothing.
 *
 * Each step may be repeated, so whatever dies in between, the next try goes on from the last version
 * that was recorded.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../../shared/base/clock.ts';
import { Deadline } from '../../../shared/base/deadline.ts';
import type { ShardId, WorkerId } from '../../../shared/base/ids.ts';
import type { ShardDescriptor } from '../../../shared/domain/collection.ts';
import { AppError } from '../../../shared/errors/app-error.ts';
import type { Log } from '../../../shared/log/log.ts';
import type { Metering } from '../metering.ts';
import { awayError, isSame, type Replica } from '../replicas/replica.ts';
import type { ReplicaSet } from '../replicas/replica-set.ts';
import { Brake } from './brake.ts';
import { changesSince } from './changes.ts';
import type { PageLink } from './page-link.ts';
import { copyOnceRows, levelRanges, type Pair } from './ranges.ts';

export interface LevellingDeps {
  pages: PageLink;
  metering: Pick<Metering, 'carryAll'>;
  clock: Clock;
  log: Log;
  describe: (shardId: ShardId) => ShardDescriptor | undefined;
}

interface Pass {
  /** Everything up to this version of the source is at the target. */
  version: number;
  rows: number;
  /** The source no longer knows all that was deleted since then. */
  tooFar: boolean;
}

interface PassManner {
  /** What is newer may be undone. */
  settled?: number;
  /** Writes are paused until then. */
  paused?: Deadline;
  brake?: Brake;
}

/** Changes that are left for the pause. */
const LAST_PASS_ROWS = 256;
/** Under writes that come as fast as they are copied, passes do not grow shorter. */
const PASSES_MAX = 20;
/** How long writes may be held up: for those under way to end, and for the last pass. */
const PAUSE_WAIT_MS = 500;
const PAUSE_MS = 1_000;
const COMPARISONS_MAX = 3;

export class Levelling {
  readonly #deps: LevellingDeps;
  readonly #pages: PageLink;

  constructor(deps: LevellingDeps) {
    this.#deps = deps;
    this.#pages = deps.pages;
  }

  /** Resolves when the replica is in sync. Throws when that fails; it may be tried again. */
  async level(set: ReplicaSet, replica: Replica): Promise<void> {
    const { clock, log } = this.#deps;
    const startMs = clock.monotonicMs();
    const { shardId } = set;
    const { workerId } = replica;
    if (replica.damage === 'stays') await this.#eraseAt(set, replica);
    const prepared = await this.#prepare(set, replica);
    let rows = 0;
    let passes = 0;
    let since: number | undefined = await this.#start(set, replica);
    let differs = replica.damage === 'found';
    for (let comparisons = 0; comparisons <= COMPARISONS_MAX; comparisons += 1) {
      if (since === undefined) {
        const source = await this.#pages.readerOf(set);
        const pair = { shardId, source, target: workerId };
        const settled = settledVersion(set);
        const held = await set.usage(source, this.#pages.deadline());
        since = Math.min(held.version, settled);
        const manner = { deep: differs, upTo: since };
        const copied = await this.#levelRanges(pair, replica, manner);
        await copyOnceRows(this.#pages, pair);
        if (differs) log.event('replica_differs', { shardId, workerId, rows: copied });
        rows += copied;
      }
      const caughtUp = await this.#catchUp(set, replica, since);
      rows += caughtUp.rows;
      passes += caughtUp.passes;
      differs =
        !caughtUp.tooFar &&
        !(await this.#join(set, replica, { since: caughtUp.version, prepared }));
      if (replica.state === 'in_sync') {
        const ms = clock.monotonicMs() - startMs;
        log.event('replica_levelled', { shardId, workerId, rows, passes, ms });
        return;
      }
      since = undefined;
    }
    // Behind a source that forgets deletions faster than they are copied it is not damaged.
    if (differs) replica.damage = 'stays';
    const detail = `a replica ${differs ? 'differs' : 'is behind'} however often it is copied`;
    throw new AppError('internal', undefined, { detail });
  }

  /** The shard and its configuration at the target; a damaged one can not be opened for that. */
  async #prepare({ shardId }: ReplicaSet, replica: Replica): Promise<ShardDescriptor> {
    const descriptor = this.#descriptorOf(shardId);
    const at = { shardId, workerId: replica.workerId };
    await this.#pages.ask(at, 'shard-create', { descriptor });
    if (replica.damage !== 'found') await this.#configure(shardId, replica.workerId);
    return descriptor;
  }

  async #configure(shardId: ShardId, workerId: WorkerId): Promise<void> {
    const descriptor = this.#descriptorOf(shardId);
    await this.#pages.ask({ shardId, workerId }, 'shard-configure', { descriptor });
  }

  #descriptorOf(shardId: ShardId): ShardDescriptor {
    const descriptor = this.#deps.describe(shardId);
    if (descriptor === undefined) throw new AppError('collection_not_found');
    return descriptor;
  }

  /** Erases what the target has. Throws when there is no other to copy from. */
  async #eraseAt(set: ReplicaSet, replica: Replica): Promise<void> {
    const { shardId } = set;
    const { workerId } = replica;
    await this.#pages.verify({ shardId, workerId: await this.#pages.readerOf(set) });
    const { place } = this.#descriptorOf(shardId);
    await this.#pages.ask({ shardId, workerId }, 'shard-drop', { place });
    this.#deps.log.event('replica_erased', { shardId, workerId });
    replica.damage = 'none';
  }

  async #levelRanges(
    pair: Pair,
    replica: Replica,
    manner: { deep: boolean; upTo: number },
  ): Promise<number> {
    try {
      const rows = await levelRanges(this.#pages, pair, manner);
      if (replica.damage === 'found') {
        replica.damage = 'mended';
        await this.#configure(pair.shardId, pair.target);
      }
      return rows;
    } catch (error) {
      // Of a source that is damaged itself nothing is known that would be worth an erasure.
      const { shardId, source: workerId } = pair;
      const isDamage = error instanceof AppError && error.code === 'shard_damaged';
      if (isDamage) {
        await this.#pages.verify({ shardId, workerId });
        replica.damage = 'stays';
      }
      throw error;
    }
  }

  /** The version from which on the target lacks changes; undefined: ranges are to be compared. */
  async #start(set: ReplicaSet, replica: Replica): Promise<number | undefined> {
    if (replica.damage === 'found') return undefined;
    const held = await set.usage(replica.workerId, this.#pages.deadline());
    return held.points === 0 ? undefined : replica.syncedVersion;
  }

  /** Passes until little is left. */
  async #catchUp(
    set: ReplicaSet,
    replica: Replica,
    from: number,
  ): Promise<Pass & { passes: number }> {
    const pair = {
      shardId: set.shardId,
      source: await this.#pages.readerOf(set),
      target: replica.workerId,
    };
    let version = from;
    let rows = 0;
    const brake = new Brake(this.#deps.clock, [set]);
    try {
      for (let passes = 1; ; passes += 1) {
        const pass = await this.#pass(pair, version, { settled: settledVersion(set), brake });
        rows += pass.rows;
        version = pass.version;
        if (pass.tooFar) return { version, rows, passes, tooFar: true };
        set.progress(replica, version);
        if (pass.rows <= LAST_PASS_ROWS || passes === PASSES_MAX) {
          return { version, rows, passes, tooFar: false };
        }
      }
    } finally {
      brake.release();
    }
  }

  /**
   * The last pass and the comparison, under a pause. False when the two do not hold the same. Throws
   * `unavailable` when the shard was configured anew since the target was prepared.
   */
  async #join(
    set: ReplicaSet,
    replica: Replica,
    { since, prepared }: { since: number; prepared: ShardDescriptor },
  ): Promise<boolean> {
    const { clock } = this.#deps;
    const target = replica.workerId;
    return set.exclusive(PAUSE_WAIT_MS, async () => {
      // From the moment it is in sync it is told of changes like the others.
      if (!isDeepStrictEqual(this.#descriptorOf(set.shardId), prepared))
        throw new AppError('unavailable', 'the shard was configured anew meanwhile');
      // Not before: who is in sync may leave as long as writes are under way.
      const [source] = set.readers();
      if (source === undefined) throw awayError();
      const paused = Deadline.after(clock, PAUSE_MS);
      await this.#pass({ shardId: set.shardId, source, target }, since, { paused });
      const [theirs, ours] = await Promise.all([
        set.usage(source, paused),
        set.usage(target, paused),
      ]);
      if (!isSame(theirs, ours)) return false;
      await this.#deps.metering.carryAll(set, source, paused);
      set.join(replica, source);
      return true;
    });
  }

  /** Copies all that is newer than `since`. */
  async #pass(
    { shardId, source, target }: Pair,
    since: number,
    { settled = Number.POSITIVE_INFINITY, paused, brake }: PassManner,
  ): Promise<Pass> {
    const to = { shardId, workerId: target };
    const pass = { version: since, rows: 0, tooFar: false };
    const changes = changesSince(
      this.#pages,
      { shardId, workerId: source },
      { since, settled, paused },
    );
    for await (const { page, vectors, floor, version, rows, isLast, tooFar } of changes) {
      if (tooFar) return { ...pass, tooFar };
      const body = { page, floor, lastVersion: isLast ? version : 0 };
      await this.#pages.ask(to, 'changes-apply', body, vectors, paused);
      pass.rows += rows;
      brake?.copied(rows);
      if (isLast) pass.version = version;
    }
    return pass;
  }
}

/** What is newer at its replicas may still be undone; infinite where nothing is undone. */
export function settledVersion(set: ReplicaSet): number {
  const { lastVersion, stableVersion, writeConsistency } = set;
  return lastVersion === undefined || writeConsistency < 2
    ? Number.POSITIVE_INFINITY
    : stableVersion;
}
