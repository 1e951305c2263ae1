/**
 * Brings the replicas of every shard to where they should be, a few at a time:
 *
 *   too few at workers that may hold them -----> one more at the best place; it is levelled, and
 *                                                in sync before anything is taken away
 *   more in sync than wanted ------------------> one less: first those that should not be there
 *                                                (draining, another client's), then the busiest
 *   a worker far busier than another ----------> one more at the idle one, then as above
 *
 * What is wanted follows from `control.db` alone (factors, terms of workers, replicas), so a drain, a
 * changed factor, a new worker and a move that died half-way are one and the same case, and nothing
 * has to be remembered but the replicas themselves. Files of replicas that were taken away are erased
 * as soon as their workers are there.
 */
import type { Clock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import type { ClientId, WorkerId } from '../../shared/base/ids.ts';
import type { ShardDescriptor } from '../../shared/domain/collection.ts';
import type { Log } from '../../shared/log/log.ts';
import type { Erasure, ReplicasTable } from '../store/replicas.ts';
import type { WorkerLink } from '../worker-link/worker-link.ts';
import type { Cluster } from './cluster.ts';
import { allowedFor, averageOf, type Candidate, choosePlaces, relativeLoad } from './placement.ts';
import type { ReplicaSet } from './replica-set.ts';

/** A shard, and how many replicas it should have. */
export interface WantedShard {
  descriptor: ShardDescriptor;
  replicationFactor: number;
}

export interface PlannedWorker extends Candidate {
  draining: boolean;
}

/** Workers as they are at one look. */
class Outlook {
  readonly workers: PlannedWorker[];
  readonly #fit = new Map<ClientId, Set<WorkerId>>();

  constructor(workers: PlannedWorker[]) {
    this.workers = workers;
  }

  /** Workers that should hold what they hold of the client's, whether they are there or not. */
  fitFor(clientId: ClientId): ReadonlySet<WorkerId> {
    let fit = this.#fit.get(clientId);
    if (fit === undefined) {
      // A client whose own workers are all draining still has workers of its own, and no others.
      const staying = allowedFor(clientId, this.workers).filter(({ draining }) => !draining);
      fit = new Set(staying.map(({ workerId }) => workerId));
      this.#fit.set(clientId, fit);
    }
    return fit;
  }

  zoneOf(workerId: WorkerId): string | null {
    return this.workers.find((worker) => worker.workerId === workerId)?.zone ?? null;
  }

  replicasAt(workerId: WorkerId): number {
    return this.workers.find((worker) => worker.workerId === workerId)?.load.replicas ?? 0;
  }
}

export interface MovesDeps {
  cluster: Cluster;
  link: Pick<WorkerLink, 'request' | 'isReady' | 'onConnect'>;
  store: Pick<ReplicasTable, 'erasures' | 'erased'>;
  /** Every shard of the collections that are there. */
  shards: () => Iterable<WantedShard>;
  /** Every worker that is known. */
  workers: () => PlannedWorker[];
  clock: Clock;
  log: Log;
}

/** How often it is looked what is to be done, if nothing asks for it. */
const LOOK_MS = 5_000;
/** Copies that are made at once, so that those who are served notice little. */
const COPIES_MAX = 2;
const ERASE_TIMEOUT_MS = 60_000;
/** A worker is relieved when its load is so much more than that of another, in average loads. */
const IMBALANCE = 0.5;

export class Moves {
  readonly #deps: MovesDeps;
  readonly #erasing = new Set<string>();
  #cancel: (() => void) | undefined;
  #closed = false;

  constructor(deps: MovesDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#deps.link.onConnect(() => this.soon());
    // One copy that is ready makes room for the next, and for taking one away.
    this.#deps.cluster.onLevelled(() => this.soon());
    this.soon();
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }

  /** Something has changed that may have to be followed. */
  soon(): void {
    if (this.#closed) return;
    this.#cancel?.();
    this.#cancel = this.#deps.clock.after(0, () => this.#look());
  }

  /**
   * By worker, replicas that should not be there (it is draining, or they are of a client that it may
   * not hold) and have to stay, because no other worker may take one at this moment.
   */
  stranded(): Map<WorkerId, number> {
    const outlook = new Outlook(this.#deps.workers());
    const counts = new Map<WorkerId, number>();
    for (const { descriptor, replicationFactor } of this.#deps.shards()) {
      const { clientId } = descriptor.place;
      const fit = outlook.fitFor(clientId);
      const replicas = this.#deps.cluster.find(descriptor.shardId)?.replicas ?? [];
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

  #plan(): void {
    const { cluster, shards } = this.#deps;
    const outlook = new Outlook(this.#deps.workers());
    let copies = 0;
    const settled: Placed[] = [];
    for (const shard of shards()) {
      const set = cluster.find(shard.descriptor.shardId);
      if (set === undefined) continue;
      const fit = outlook.fitFor(shard.descriptor.place.clientId);
      const placed = { shard, set, fit };
      if (set.replicas.some(({ state, workerId }) => state === 'behind' && fit.has(workerId))) {
        copies += 1;
      } else if (!this.#removeOne(placed, outlook)) settled.push(placed);
    }
    for (const placed of settled) {
      if (copies >= COPIES_MAX) return;
      if (this.#addOne(placed, outlook)) copies += 1;
    }
    if (copies === 0) this.#balance(settled, outlook);
  }

  /** Takes one replica away that is too many. */
  #removeOne({ shard, set, fit }: Placed, outlook: Outlook): boolean {
    const { descriptor, replicationFactor } = shard;
    const good = set.inSync.filter(({ workerId }) => fit.has(workerId));
    // Those that should not be there stay until there are enough others.
    if (good.length < replicationFactor) return false;
    const unfit = set.replicas.find(({ workerId }) => !fit.has(workerId));
    const [busiest] = good.toSorted((a, b) => {
      return outlook.replicasAt(b.workerId) - outlook.replicasAt(a.workerId);
    });
    const victim = unfit ?? (good.length > replicationFactor ? busiest : undefined);
    if (victim === undefined) return false;
    const { workerId } = victim;
    this.#deps.cluster.removeReplica(set, victim, descriptor.place);
    this.#deps.log.event('replica_removed', { shardId: set.shardId, workerId });
    this.#eraseAll();
    return true;
  }

  /** Begins one more replica when there are too few that are where they should be. */
  #addOne({ shard, set, fit }: Placed, outlook: Outlook): boolean {
    const good = set.replicas.filter(({ workerId }) => fit.has(workerId));
    if (good.length >= shard.replicationFactor) return false;
    const holders = good.map(({ workerId }) => ({ workerId, zone: outlook.zoneOf(workerId) }));
    return this.#copy({ shard, set, fit }, outlook.workers, holders);
  }

  #copy(
    { shard, set }: Placed,
    workers: readonly PlannedWorker[],
    holders: readonly Pick<Candidate, 'workerId' | 'zone'>[],
  ): boolean {
    const { shardId } = set;
    const leaving = this.#deps.store.erasures().filter((one) => one.shardId === shardId);
    const taken = new Set([...set.replicas, ...leaving].map(({ workerId }) => workerId));
    const free = workers.map((worker) => {
      return { ...worker, usable: worker.usable && !taken.has(worker.workerId) };
    });
    const { clientId } = shard.descriptor.place;
    const [place] = choosePlaces({ shardId, clientId }, 1, free, holders);
    if (place === undefined) return false;
    this.#deps.cluster.addReplica(set, place.workerId);
    this.#deps.log.event('replica_added', { shardId, workerId: place.workerId });
    return true;
  }

  /** Makes a copy of one shard of the busiest worker at the idlest, if they differ much. */
  #balance(shards: readonly Placed[], outlook: Outlook): void {
    const usable = outlook.workers.filter((worker) => worker.usable);
    // Shards move between workers of the same client, or between those of all others.
    for (const label of new Set(usable.map(({ dedicatedTo }) => dedicatedTo))) {
      const group = usable.filter(({ dedicatedTo }) => dedicatedTo === label);
      const averages = averageOf(group);
      const byLoad = group
        .map((worker) => ({ worker, load: relativeLoad(worker.load, averages) }))
        .toSorted((a, b) => a.load - b.load);
      const [idle, busy] = [byLoad[0], byLoad.at(-1)];
      if (idle === undefined || busy === undefined || busy.load - idle.load < IMBALANCE) continue;
      // With one replica between the two there is nothing to even out.
      if (busy.worker.load.replicas - idle.worker.load.replicas < 2) continue;
      const movable = shards.find(({ set, fit }) => {
        const holds = (workerId: WorkerId) => set.replicas.some((one) => one.workerId === workerId);
        const { workerId } = idle.worker;
        return fit.has(workerId) && holds(busy.worker.workerId) && !holds(workerId);
      });
      if (movable !== undefined && this.#copy(movable, [idle.worker], [])) return;
    }
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

interface Placed {
  shard: WantedShard;
  set: ReplicaSet;
  /** Workers that may hold it. */
  fit: ReadonlySet<WorkerId>;
}
