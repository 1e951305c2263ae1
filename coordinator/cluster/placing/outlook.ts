/**
 * What moves are planned by, as it is at one look: workers with their loads, and how the replicas of
 * each shard stand. What is begun and taken away during the look counts at once, so that many shards
 * in one look do not all choose the same worker.
 *
 * Only a replica that answers counts for what a shard can live on: what is recorded as in sync at a
 * worker that is gone may never be seen again.
 */
import type { ClientId, CollectionId, ShardId, WorkerId } from '../../../shared/base/ids.ts';
import type { ShardDescriptor } from '../../../shared/domain/collection.ts';
import type { WorkerLink } from '../../worker-link/worker-link.ts';
import type { Replica } from '../replicas/replica.ts';
import type { ReplicaSet } from '../replicas/replica-set.ts';
import { allowedFor, averageOf, type Candidate, type Load, relativeLoad } from './placement.ts';

/** A shard, and how many replicas it should have. */
export interface WantedShard {
  descriptor: ShardDescriptor;
  replicationFactor: number;
}

export interface PlannedWorker extends Candidate {
  draining: boolean;
}

/** A shard with its replicas. */
export interface Placed {
  shard: WantedShard;
  set: ReplicaSet;
  /** Workers that may hold it. */
  fit: ReadonlySet<WorkerId>;
}

export interface OutlookParts {
  workers: readonly PlannedWorker[];
  shards: Iterable<WantedShard>;
  find: (shardId: ShardId) => ReplicaSet | undefined;
  link: Pick<WorkerLink, 'isReady' | 'isSilent'>;
}

export class Outlook {
  readonly workers: readonly PlannedWorker[];
  readonly shards: readonly Placed[];
  readonly #byId: ReadonlyMap<WorkerId, PlannedWorker>;
  readonly #link: OutlookParts['link'];
  readonly #fit = new Map<ClientId, Set<WorkerId>>();
  /** Replicas by collection and worker. */
  readonly #spread = new Map<CollectionId, Map<WorkerId, number>>();
  /** What the average worker does, of those of one client and of all others. */
  readonly #averages = new Map<ClientId | null, Load>();

  constructor({ workers, shards, find, link }: OutlookParts) {
    this.workers = workers.map((worker) => ({ ...worker, load: { ...worker.load } }));
    this.#byId = new Map(this.workers.map((worker) => [worker.workerId, worker]));
    this.#link = link;
    const placed: Placed[] = [];
    for (const shard of shards) {
      const { shardId, collectionId, place } = shard.descriptor;
      const set = find(shardId);
      if (set === undefined) continue;
      placed.push({ shard, set, fit: this.#fitFor(place.clientId) });
      for (const { workerId } of set.replicas) this.#spreadBy(collectionId, workerId, 1);
    }
    this.shards = placed;
  }

  // --- how a shard stands

  /** Replicas that a shard can live on: in sync, where they should be, and they answer. */
  standing({ set, fit }: Placed): Replica[] {
    // One that hangs is connected until that is noticed, and nobody knows whether it comes back.
    const answers = (workerId: WorkerId) => {
      return this.#link.isReady(workerId) && !this.#link.isSilent(workerId);
    };
    return set.inSync.filter(({ workerId }) => fit.has(workerId) && answers(workerId));
  }

  /** Whether there is a replica that others can be made from. */
  hasSource({ set }: Placed): boolean {
    return set.inSync.some(({ workerId }) => this.#link.isReady(workerId));
  }

  /** Replicas that are being levelled, or can be at any moment. */
  underWay(placed: Placed): number {
    if (!this.hasSource(placed)) return 0;
    const { set, fit } = placed;
    return set.replicas.filter(({ state, workerId }) => {
      return state === 'behind' && fit.has(workerId) && this.#link.isReady(workerId);
    }).length;
  }

  /** Whether it has all replicas that it should have, and no others. */
  isWhole(placed: Placed): boolean {
    const { replicationFactor } = placed.shard;
    const { length } = placed.set.replicas;
    return length === replicationFactor && this.standing(placed).length === length;
  }

  /** When two of its replicas are in the same zone: the workers in zones where none of them is. */
  inNewZones({ set, fit }: Placed): Set<WorkerId> {
    const zones = set.replicas.map(({ workerId }) => this.zoneOf(workerId));
    const known = zones.filter((zone) => zone !== null);
    const distinct = new Set(known);
    if (distinct.size === known.length) return new Set();
    const others = this.workers.filter(({ workerId, zone }) => {
      return fit.has(workerId) && zone !== null && !distinct.has(zone);
    });
    return new Set(others.map(({ workerId }) => workerId));
  }

  /**
   * The replica to take away when that leaves `needed` of those that stand. First one that should
   * not be where it is, then one whose worker is not connected.
   */
  victimOf(placed: Placed, needed: number): Replica | undefined {
    const { set, fit, shard } = placed;
    const standing = this.standing(placed);
    if (standing.length < needed) return undefined;
    const unfit = set.replicas.find(({ workerId }) => !fit.has(workerId));
    const away = set.replicas.find(({ workerId }) => !this.#link.isReady(workerId));
    if (unfit !== undefined || away !== undefined) return unfit ?? away;
    if (standing.length === needed) return undefined;
    const holders = standing.map(({ workerId }) => workerId);
    const least = this.#leastMissed(holders, shard.descriptor.collectionId);
    return standing.find(({ workerId }) => workerId === least);
  }

  /** Whether one more replica at `idle` would make the one at `busy` the one to take away. */
  wouldRelieve(placed: Placed, busy: WorkerId, idle: WorkerId): boolean {
    const holders = placed.set.replicas.map(({ workerId }) => workerId);
    if (!placed.fit.has(idle) || !holders.includes(busy) || holders.includes(idle)) return false;
    if (!this.isWhole(placed)) return false;
    this.added(placed, idle);
    const { collectionId } = placed.shard.descriptor;
    const least = this.#leastMissed([...holders, idle], collectionId);
    this.removed(placed, idle);
    return least === busy;
  }

  // --- workers

  zoneOf(workerId: WorkerId): string | null {
    return this.#byId.get(workerId)?.zone ?? null;
  }

  /** 1 for a worker that does as much as the average one that could take its place. */
  loadOf({ dedicatedTo, load }: PlannedWorker): number {
    let average = this.#averages.get(dedicatedTo);
    if (average === undefined) {
      const group = this.workers.filter((one) => one.usable && one.dedicatedTo === dedicatedTo);
      average = averageOf(group);
      this.#averages.set(dedicatedTo, average);
    }
    return relativeLoad(load, average);
  }

  /** A replica of the shard is now there. */
  added(placed: Placed, workerId: WorkerId): void {
    this.#count(placed, workerId, 1);
  }

  /** A replica of the shard is no longer there. */
  removed(placed: Placed, workerId: WorkerId): void {
    this.#count(placed, workerId, -1);
  }

  #count({ shard, set }: Placed, workerId: WorkerId, by: 1 | -1): void {
    this.#spreadBy(shard.descriptor.collectionId, workerId, by);
    const load = this.#byId.get(workerId)?.load;
    if (load === undefined) return;
    load.replicas += by;
    load.points += by * set.held.points;
    load.bytes += by * set.held.bytes;
    this.#averages.clear();
  }

  #spreadBy(collectionId: CollectionId, workerId: WorkerId, by: 1 | -1): void {
    const counts = this.#spread.get(collectionId) ?? new Map<WorkerId, number>();
    this.#spread.set(collectionId, counts);
    counts.set(workerId, (counts.get(workerId) ?? 0) + by);
  }

  /**
   * Of workers with replicas of one shard, the one where it is missed least: another one is in the
   * same zone; else the one with most shards of the collection, so that its work stays spread; else
   * the busiest.
   */
  #leastMissed(holders: readonly WorkerId[], collectionId: CollectionId): WorkerId | undefined {
    const zones = holders.map((workerId) => this.zoneOf(workerId));
    const spread = this.#spread.get(collectionId);
    const ranked = holders.map((workerId) => {
      const zone = this.zoneOf(workerId);
      const worker = this.#byId.get(workerId);
      return {
        workerId,
        sameZone: zone === null ? 0 : Number(zones.filter((one) => one === zone).length > 1),
        ofCollection: spread?.get(workerId) ?? 0,
        load: worker === undefined ? 0 : this.loadOf(worker),
      };
    });
    ranked.sort((a, b) => {
      return b.sameZone - a.sameZone || b.ofCollection - a.ofCollection || b.load - a.load;
    });
    return ranked[0]?.workerId;
  }

  /** Workers that should hold what they hold of the client's, whether they are there or not. */
  #fitFor(clientId: ClientId): ReadonlySet<WorkerId> {
    let fit = this.#fit.get(clientId);
    if (fit === undefined) {
      // A client whose own workers are all draining still has workers of its own, and no others.
      const staying = allowedFor(clientId, this.workers).filter(({ draining }) => !draining);
      fit = new Set(staying.map(({ workerId }) => workerId));
      this.#fit.set(clientId, fit);
    }
    return fit;
  }
}
