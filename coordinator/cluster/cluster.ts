/**
 * The replicas of all shards: one `ReplicaSet` a shard, told of workers that come and go, and the
 * line of replicas that are behind, some of which are levelled at a time.
 */
import { must } from '../../shared/base/assert.ts';
import type { Clock } from '../../shared/base/clock.ts';
import type { ShardId, WorkerId } from '../../shared/base/ids.ts';
import { Retries } from '../../shared/base/retries.ts';
import type { ShardDescriptor, ShardPlace } from '../../shared/domain/collection.ts';
import type { Log } from '../../shared/log/log.ts';
import type { Written } from '../../shared/protocol/schema.ts';
import type { ReplicaPlacement, ReplicasTable } from '../store/replicas.ts';
import type { WorkerLink } from '../worker-link/worker-link.ts';
import { Levelling } from './copying/levelling.ts';
import { PageLink } from './copying/page-link.ts';
import { Scrub } from './copying/scrub.ts';
import { Metering, type MeteringDeps } from './metering.ts';
import type { Replica } from './replicas/replica.ts';
import { ReplicaSet, type ReplicaSetDeps } from './replicas/replica-set.ts';
import type { ReplicationTiming } from './replicas/timing.ts';

export interface ClusterDeps {
  link: Pick<WorkerLink, 'request' | 'isReady' | 'onConnect' | 'onLoss' | 'onDamage'>;
  store: ReplicasTable;
  ledger: MeteringDeps['ledger'];
  clock: Clock;
  log: Log;
  timing: ReplicationTiming;
}

/** A shard as `control.db` has it. */
export interface PlacedShard {
  shardId: ShardId;
  replicas: readonly ReplicaPlacement[];
}

/** What those who know the collections say of a shard. */
export interface ShardFacts {
  /** What a worker has to know of it; undefined when there is none any more. */
  describe: (shardId: ShardId) => ShardDescriptor | undefined;
  /** Whether its data is on the cold disks, or is to be. */
  isPaused: (shardId: ShardId) => boolean;
}

export interface ClusterCounts {
  /** Those that are read and written. */
  shards: number;
  /** Shards without a replica in sync that can be reached. */
  unreachable: number;
  replicas: number;
  /** Replicas that lack writes. */
  behind: number;
}

interface Behind {
  set: ReplicaSet;
  replica: Replica;
}

/** Replicas that are levelled at once: each is one page after the other at two workers. */
const LEVELLED_AT_ONCE = 4;

export class Cluster {
  readonly #deps: ClusterDeps;
  readonly #setDeps: ReplicaSetDeps;
  readonly #sets = new Map<ShardId, ReplicaSet>();
  /** Of these, those that no request comes to yet: points are copied to them. */
  readonly #filling = new Set<ReplicaSet>();
  /** Those that others have taken the place of, as long as reads of them may be under way. */
  readonly #retired = new Map<ShardId, ReplicaSet>();
  /** Those with several replicas, by worker: nobody else needs to hear of workers. */
  readonly #byWorker = new Map<WorkerId, Set<ReplicaSet>>();
  readonly scrub: Scrub;
  readonly metering: Metering;
  readonly pages: PageLink;
  readonly #levelling: Levelling;
  /** Replicas to level, the longest waiting first, and those that are being levelled. */
  readonly #behind = new Map<string, Behind>();
  readonly #running = new Map<string, Promise<void>>();
  readonly #retries: Retries<string>;
  readonly #waiting = new Map<string, Behind>();
  #closed = false;
  #onLevelled: () => void = () => undefined;

  #describe: ShardFacts['describe'] = () => undefined;
  #isPaused: ShardFacts['isPaused'] = () => false;

  constructor(deps: ClusterDeps) {
    const { link, store, ledger, clock, log, timing } = deps;
    this.#deps = deps;
    const describe = (shardId: ShardId) => this.#describe(shardId);
    this.pages = new PageLink({ link, clock });
    const { pages } = this;
    const ownerOf = (shardId: ShardId) => this.#describe(shardId)?.place;
    const metering = new Metering({
      ledger,
      pages,
      ownerOf,
      carryAfterMs: timing.carryAfterMs,
      clock,
      log,
    });
    this.metering = metering;
    this.#levelling = new Levelling({ pages, metering, clock, log, describe });
    // What is paused is not brought back to be compared: its workers read it where it is.
    const setOf = (shardId: ShardId) => {
      return this.#isPaused(shardId) ? undefined : this.#sets.get(shardId);
    };
    this.scrub = new Scrub({ pages, setOf, store, clock, log });
    const graceEndMs = clock.monotonicMs() + timing.startGraceMs;
    const fellBehind = (set: ReplicaSet, replica: Replica) => this.#enqueue({ set, replica });
    const wrote = (set: ReplicaSet) => metering.wrote(set);
    this.#setDeps = { link, store, clock, log, timing, graceEndMs, fellBehind, wrote };
    this.#retries = new Retries(clock, (key) => {
      const behind = this.#waiting.get(key);
      this.#waiting.delete(key);
      if (behind !== undefined) this.#enqueue(behind);
    });
    link.onConnect((workerId) => {
      for (const set of this.#byWorker.get(workerId) ?? []) set.came(workerId);
    });
    link.onLoss((workerId) => {
      for (const set of this.#byWorker.get(workerId) ?? []) set.lost(workerId);
    });
    link.onDamage((shardId, workerId) => this.#sets.get(shardId)?.damaged(workerId));
  }

  start({ describe, isPaused }: ShardFacts): void {
    this.#describe = describe;
    this.#isPaused = isPaused;
    this.scrub.start();
    this.metering.start(this.#sets.values());
  }

  /** Calls `listener` whenever a replica that was behind is in sync. */
  onLevelled(listener: () => void): void {
    this.#onLevelled = listener;
  }

  /** Takes shards into the books. `isNew`: they hold nothing yet. */
  add(shards: readonly PlacedShard[], writeConsistency: number, isNew: boolean): void {
    for (const shard of shards) {
      const set = new ReplicaSet(this.#setDeps, { ...shard, writeConsistency });
      if (isNew) set.startWith({ version: 0, points: 0, bytes: 0, digest: 0 });
      this.#sets.set(shard.shardId, set);
      this.#index(set);
    }
  }

  /** The same for shards that are to take the place of others. */
  fill(shards: readonly PlacedShard[], writeConsistency: number, isNew: boolean): void {
    this.add(shards, writeConsistency, isNew);
    for (const { shardId } of shards) this.#filling.add(this.set(shardId));
  }

  /**
   * Shards that were filled, and hold so much, take the place of others, which can be read for
   * `readsEndMs` more.
   */
  replace(
    replaced: readonly { shardId: ShardId }[],
    filled: ReadonlyMap<ShardId, Written>,
    readsEndMs: number,
  ): void {
    for (const [shardId, held] of filled) {
      const set = this.set(shardId);
      set.startWith(held);
      this.#filling.delete(set);
    }
    for (const { shardId } of replaced) {
      const set = this.set(shardId);
      this.remove([{ shardId }]);
      set.retire();
      this.#retired.set(shardId, set);
      this.#deps.clock.after(readsEndMs, () => this.#retired.delete(shardId));
    }
  }

  /** The shards are gone. */
  remove(shards: readonly { shardId: ShardId }[]): void {
    for (const { shardId } of shards) {
      const set = this.#sets.get(shardId);
      if (set === undefined) continue;
      this.#sets.delete(shardId);
      this.#filling.delete(set);
      for (const sets of this.#byWorker.values()) sets.delete(set);
      for (const { workerId } of set.replicas) this.#forget(`${shardId}/${workerId}`);
    }
  }

  /** Begins to make one more copy of the shard. */
  addReplica(set: ReplicaSet, workerId: WorkerId): void {
    const replica = set.add(workerId);
    this.#index(set);
    this.#enqueue({ set, replica });
  }

  /** Takes a copy of the shard away, and has its files erased. */
  removeReplica(set: ReplicaSet, replica: Replica, place: ShardPlace): void {
    set.remove(replica, place);
    this.#byWorker.get(replica.workerId)?.delete(set);
    this.#forget(`${set.shardId}/${replica.workerId}`);
  }

  /** Takes no replica up from now on, and waits for those that are being levelled. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#retries.close();
    await this.metering.close();
    this.pages.stop();
    await Promise.all([this.scrub.close(), ...this.#running.values()]);
  }

  set(shardId: ShardId): ReplicaSet {
    const set = this.#sets.get(shardId) ?? this.#retired.get(shardId);
    return must(set, 'every shard of the catalog has its replicas');
  }

  find(shardId: ShardId): ReplicaSet | undefined {
    return this.#sets.get(shardId);
  }

  /** Whether the replica at this worker is being brought level at this moment. */
  isLevelling(shardId: ShardId, workerId: WorkerId): boolean {
    return this.#running.has(`${shardId}/${workerId}`);
  }

  /** Whether a replica in sync can be asked: one of any worker, or that of this one. */
  reaches(shardId: ShardId, only?: WorkerId): boolean {
    const { link } = this.#deps;
    return this.set(shardId).inSync.some(({ workerId }) => {
      return link.isReady(workerId) && (only === undefined || workerId === only);
    });
  }

  /** The worker that would be asked for the shard: a connected one if there is one. */
  holderOf(shardId: ShardId): WorkerId {
    const { inSync } = this.set(shardId);
    const ready = inSync.find(({ workerId }) => this.#deps.link.isReady(workerId));
    return must(ready ?? inSync[0], 'a shard has a replica in sync').workerId;
  }

  count(): ClusterCounts {
    const counts = { shards: 0, unreachable: 0, replicas: 0, behind: 0 };
    for (const set of this.#sets.values()) {
      const { replicas, inSync } = set;
      counts.replicas += replicas.length;
      counts.behind += replicas.length - inSync.length;
      if (this.#filling.has(set)) continue;
      counts.shards += 1;
      const isReached = inSync.some(({ workerId }) => this.#deps.link.isReady(workerId));
      if (!isReached) counts.unreachable += 1;
    }
    return counts;
  }

  /** What the replicas at each worker hold together, as far as was heard. */
  heldByWorker(): Map<WorkerId, { points: number; bytes: number }> {
    const held = new Map<WorkerId, { points: number; bytes: number }>();
    for (const set of this.#sets.values()) {
      for (const { workerId } of set.replicas) {
        const { points, bytes } = held.get(workerId) ?? { points: 0, bytes: 0 };
        const sum = { points: points + set.held.points, bytes: bytes + set.held.bytes };
        held.set(workerId, sum);
      }
    }
    return held;
  }

  /** Every replica that is behind, and by how many versions. */
  lagging(): { shardId: ShardId; workerId: WorkerId; versions: number }[] {
    return [...this.#sets.values()].flatMap(({ shardId, replicas, lastVersion = 0 }) => {
      return replicas
        .filter(({ state }) => state === 'behind')
        .map(({ workerId, syncedVersion }) => {
          return { shardId, workerId, versions: Math.max(0, lastVersion - syncedVersion) };
        });
    });
  }

  #index(set: ReplicaSet): void {
    if (set.replicas.length < 2) return;
    for (const { workerId } of set.replicas) {
      const sets = this.#byWorker.get(workerId) ?? new Set();
      this.#byWorker.set(workerId, sets.add(set));
    }
  }

  #forget(key: string): void {
    this.#behind.delete(key);
    this.#waiting.delete(key);
    this.#retries.settle(key);
  }

  #enqueue(behind: Behind): void {
    const key = `${behind.set.shardId}/${behind.replica.workerId}`;
    // Who waits for a pause is taken up at once when its worker comes back.
    this.#waiting.delete(key);
    this.#behind.set(key, behind);
    this.#levelSome();
  }

  #levelSome(): void {
    for (const [key, behind] of this.#behind) {
      if (this.#closed || this.#running.size >= LEVELLED_AT_ONCE) return;
      if (this.#running.has(key)) continue;
      this.#behind.delete(key);
      // When its worker comes it is enqueued again.
      if (!this.#deps.link.isReady(behind.replica.workerId)) continue;
      const running = this.#level(key, behind).finally(() => {
        this.#running.delete(key);
        this.#levelSome();
      });
      this.#running.set(key, running);
    }
  }

  async #level(key: string, { set, replica }: Behind): Promise<void> {
    const isCurrent = () => this.#sets.get(set.shardId) === set && set.replicas.includes(replica);
    if (!isCurrent() || replica.state === 'in_sync') return;
    try {
      await this.#levelling.level(set, replica);
      this.#retries.settle(key);
      this.#onLevelled();
      // A comparison that somebody waits for may have stopped for it.
      if (this.#deps.store.countToCompare() > 0) this.scrub.soon();
    } catch (error) {
      if (!isCurrent() || this.#closed) return;
      const next = this.#retries.retry(key);
      if (next === undefined) return;
      this.#waiting.set(key, { set, replica });
      const { attempts: attempt, delayMs } = next;
      const { shardId } = set;
      const { workerId } = replica;
      this.#deps.log.event('level_failed', { shardId, workerId, attempt, delayMs, error });
    }
  }
}
