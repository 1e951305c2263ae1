/**
 * Brings the replicas of every shard to where they should be, a few at a time:
 *
 *   too few at workers that may hold them -----> one more at the best place; it is levelled, and
 *                                                in sync before anything is taken away
 *   more than wanted --------------------------> one less: first those that should not be there
 *                                                (draining, another client's), then those at workers
 *                                                that are gone, then the one that is missed least
 *   two in one zone, and there is another -----> one more in that zone, then as above
 *   a worker far busier than another ----------> one more at the idle one, then as above
 *
 * What is wanted follows from `control.db` alone (factors, terms of workers, replicas), so a drain, a
 * changed factor, a new worker and a move that died half-way are one and the same case, and nothing
 * has to be remembered but the replicas themselves. Files of replicas that were taken away are erased
 * as soon as their workers are there.
 *
 * Nothing is taken away unless as many as are wanted are left that are in sync, were compared, and
 * are at workers that answer. A worker that is gone keeps its place until it is drained: it may be
 * back in a second, with all that it had.
 */
import type { Clock } from '../../../shared/base/clock.ts';
import { Deadline } from '../../../shared/base/deadline.ts';
import type { ShardId, WorkerId } from '../../../shared/base/ids.ts';
import type { Log } from '../../../shared/log/log.ts';
import type { Erasure, ReplicasTable } from '../../store/replicas.ts';
import type { WorkerLink } from '../../worker-link/worker-link.ts';
import type { Cluster } from '../cluster.ts';
import type { ReplicaSet } from '../replicas/replica-set.ts';
import { Outlook, type Placed, type PlannedWorker, type WantedShard } from './outlook.ts';
import { allowedFor, choosePlaces } from './placement.ts';

export interface MovesDeps {
  cluster: Cluster;
  link: Pick<WorkerLink, 'request' | 'isReady' | 'isSilent' | 'onConnect'>;
  store: Pick<ReplicasTable, 'erasures' | 'erased'>;
  /** Every shard of the collections that are there. */
  shards: () => Iterable<WantedShard>;
  /** Every worker that is known. */
  workers: () => PlannedWorker[];
  /** After a start, workers have so long to dial in before it is judged what is missing. */
  startGraceMs: number;
  clock: Clock;
  log: Log;
}

/** How often it is looked what is to be done, if nothing asks for it. */
const LOOK_MS = 5_000;
/** Copies that are made at once, so that those who are served notice little. */
const COPIES_MAX = 2;
const ERASE_TIMEOUT_MS = 60_000;
/** Shards whose replicas are compared at once before one is taken away, and how long that may take. */
const PROOFS_MAX = 8;
const PROOF_TIMEOUT_MS = 10_000;
/** A worker is relieved when its load is so much more than that of another, in average loads. */
const IMBALANCE = 0.5;

export class Moves {
  readonly #deps: MovesDeps;
  readonly #erasing = new Set<string>();
  readonly #proving = new Set<ShardId>();
  #cancel: (() => void) | undefined;
  #isGraceOver = false;
  #closed = false;

  constructor(deps: MovesDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#deps.link.onConnect(() => this.soon());
    // One copy that is ready makes room for the next, and for taking one away.
    this.#deps.cluster.onLevelled(() => this.soon());
    this.#cancel = this.#deps.clock.after(this.#deps.startGraceMs, () => {
      this.#isGraceOver = true;
      this.#look();
    });
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }

  /** Something has changed that may have to be followed. */
  soon(): void {
    // The first look, at the end of the grace, sees all that has changed.
    if (this.#closed || !this.#isGraceOver) return;
    this.#cancel?.();
    this.#cancel = this.#deps.clock.after(0, () => this.#look());
  }

  /**
   * By worker, replicas that should not be there (it is draining, or they are of a client that it may
   * not hold) and have to stay, because no other worker may take one at this moment.
   */
  stranded(): Map<WorkerId, number> {
    const outlook = this.#outlook();
    const counts = new Map<WorkerId, number>();
    for (const { shard, set, fit } of outlook.shards) {
      const { descriptor, replicationFactor } = shard;
      const { clientId } = descriptor.place;
      const { replicas } = set;
      const unfit = replicas.filter(({ workerId }) => !fit.has(workerId));
      if (unfit.length === 0 || replicas.length - unfit.length >= replicationFactor) continue;
      const isTaken = (workerId: WorkerId) => replicas.some((one) => one.workerId === workerId);
      const allowed = allowedFor(clientId, outlook.workers);
      if (allowed.some(({ usable, workerId }) => usable && !isTaken(workerId))) continue;
      for (const { workerId } of unfit) counts.set(workerId, (counts.get(workerId) ?? 0) + 1);
    }
    return counts;
  }

  #look(): void {
    try {
      this.#eraseAll();
      this.#plan();
    } catch (error) {
      // A full disk, for example: the next look may fare better.
      this.#deps.log.event('unexpected_error', { place: 'moves', error });
    }
    if (!this.#closed) this.#cancel = this.#deps.clock.after(LOOK_MS, () => this.#look());
  }

  #outlook(): Outlook {
    const { cluster, link, shards, workers } = this.#deps;
    return new Outlook({
      workers: workers(),
      shards: shards(),
      find: (shardId) => cluster.find(shardId),
      link,
    });
  }

  #plan(): void {
    const outlook = this.#outlook();
    let copies = 0;
    const settled: Placed[] = [];
    for (const placed of outlook.shards) {
      const underWay = outlook.underWay(placed);
      copies += underWay;
      if (underWay === 0 && !this.#removeOne(placed, outlook)) settled.push(placed);
    }
    // What is missing comes before what would stand better.
    for (const begin of [this.#addOne, this.#setApart]) {
      for (const placed of settled) {
        if (copies >= COPIES_MAX) return;
        if (begin(placed, outlook)) copies += 1;
      }
    }
    if (copies === 0) this.#balance(settled, outlook);
  }

  /** Takes one replica away that is too many. */
  #removeOne(placed: Placed, outlook: Outlook): boolean {
    const { shard, set } = placed;
    const needed = Math.max(1, shard.replicationFactor);
    const standing = outlook.standing(placed);
    if (standing.length < needed || set.replicas.length <= needed) return false;
    // What one of them holds may be less than it seems, until they are compared.
    if (standing.some(({ proved }) => !proved)) {
      void this.#prove(set);
      return false;
    }
    const victim = outlook.victimOf(placed, needed);
    if (victim === undefined) return false;
    const { workerId } = victim;
    this.#deps.cluster.removeReplica(set, victim, shard.descriptor.place);
    outlook.removed(placed, workerId);
    this.#deps.log.event('replica_removed', { shardId: set.shardId, workerId });
    this.#eraseAll();
    return true;
  }

  /** Has the replicas compared now: those of a shard that nobody uses would never be. */
  async #prove(set: ReplicaSet): Promise<void> {
    const { clock, log } = this.#deps;
    const { shardId } = set;
    if (this.#proving.has(shardId) || this.#proving.size >= PROOFS_MAX) return;
    this.#proving.add(shardId);
    try {
      await set.prove(Deadline.after(clock, PROOF_TIMEOUT_MS));
      this.soon();
    } catch (error) {
      // A worker has gone meanwhile, for example: the next look asks again.
      if (!this.#closed) log.event('shard_failed', { shardId, place: 'moves', error });
    } finally {
      this.#proving.delete(shardId);
    }
  }

  /** Begins one more replica when there are too few that are where they should be. */
  readonly #addOne = (placed: Placed, outlook: Outlook): boolean => {
    const { shard, set, fit } = placed;
    const { length } = set.replicas.filter(({ workerId }) => fit.has(workerId));
    return length < shard.replicationFactor && this.#copy(placed, outlook, fit);
  };

  /** Begins one more replica in a zone that has none, when another zone has two. */
  readonly #setApart = (placed: Placed, outlook: Outlook): boolean => {
    if (!outlook.isWhole(placed)) return false;
    const among = outlook.inNewZones(placed);
    return among.size > 0 && this.#copy(placed, outlook, among);
  };

  /** Begins one more replica at the best of those workers, if there is one that can take it. */
  #copy(placed: Placed, outlook: Outlook, among: ReadonlySet<WorkerId>): boolean {
    if (!outlook.hasSource(placed)) return false;
    const { shard, set, fit } = placed;
    const { shardId } = set;
    const leaving = this.#deps.store.erasures().filter((one) => one.shardId === shardId);
    const taken = new Set([...set.replicas, ...leaving].map(({ workerId }) => workerId));
    const free = outlook.workers.map((worker) => {
      const { workerId, usable } = worker;
      return { ...worker, usable: usable && among.has(workerId) && !taken.has(workerId) };
    });
    const holders = set.replicas
      .filter(({ workerId }) => fit.has(workerId))
      .map(({ workerId }) => ({ workerId, zone: outlook.zoneOf(workerId) }));
    const { clientId } = shard.descriptor.place;
    const [place] = choosePlaces({ shardId, clientId }, 1, free, holders);
    if (place === undefined) return false;
    const { workerId } = place;
    this.#deps.cluster.addReplica(set, workerId);
    outlook.added(placed, workerId);
    this.#deps.log.event('replica_added', { shardId, workerId });
    return true;
  }

  /** Makes a copy of one shard of the busiest worker at the idlest, if they differ much. */
  #balance(shards: readonly Placed[], outlook: Outlook): void {
    const usable = outlook.workers.filter((worker) => worker.usable);
    // Shards move between workers of the same client, or between those of all others.
    for (const label of new Set(usable.map(({ dedicatedTo }) => dedicatedTo))) {
      const byLoad = usable
        .filter(({ dedicatedTo }) => dedicatedTo === label)
        .map((worker) => ({ worker, load: outlook.loadOf(worker) }))
        .toSorted((a, b) => a.load - b.load);
      const [idle] = byLoad;
      if (idle === undefined) continue;
      // The busiest may have to keep what it has, as the only one of its zone.
      const busy = byLoad
        .filter(({ load }) => load - idle.load >= IMBALANCE)
        .map(({ worker }) => worker)
        // With one replica between the two there is nothing to even out.
        .filter(({ load }) => load.replicas - idle.worker.load.replicas >= 2);
      for (const { workerId } of busy.toReversed()) {
        if (this.#relieve(workerId, idle.worker.workerId, shards, outlook)) return;
      }
    }
  }

  #relieve(busy: WorkerId, idle: WorkerId, shards: readonly Placed[], outlook: Outlook): boolean {
    return shards.some((placed) => {
      return (
        outlook.wouldRelieve(placed, busy, idle) && this.#copy(placed, outlook, new Set([idle]))
      );
    });
  }

  #eraseAll(): void {
    const now = this.#deps.clock.now();
    for (const erasure of this.#deps.store.erasures()) {
      if (erasure.notBefore > now) continue;
      const key = `${erasure.shardId}/${erasure.workerId}`;
      if (this.#erasing.has(key) || !this.#deps.link.isReady(erasure.workerId)) continue;
      this.#erasing.add(key);
      void this.#erase(erasure).finally(() => this.#erasing.delete(key));
    }
  }

  async #erase({ shardId, workerId, place }: Erasure): Promise<void> {
    const { link, store, clock, log } = this.#deps;
    try {
      const deadline = Deadline.after(clock, ERASE_TIMEOUT_MS);
      await link.request({ shardId, workerId }, 'shard-drop', { place }, undefined, deadline);
      store.erased(shardId, workerId);
    } catch (error) {
      log.event('replica_erase_failed', { shardId, workerId, error });
    }
  }
}
