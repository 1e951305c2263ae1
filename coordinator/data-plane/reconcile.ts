/**
 * Collections on their way out. A deleted collection is gone for its client at once; its shards
 * are erased when their workers can be reached, now or after their return:
 *
 *   markDeleting (store) -> shard-drop to each worker -> all answered -> remove (store)
 *                              |  away, or no answer
 *                              +--> kept; tried again when that worker connects
 *
 * At start everything in state `deleting` is taken up, and everything in state `creating` too: the
 * coordinator that was making it died before the client had an answer, so it is rolled back.
 * Dropping a shard twice is harmless, so a try that was cut off is simply repeated.
 */
import type { Clock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import type { CollectionId, ShardId, WorkerId } from '../../shared/base/ids.ts';
import type { Log } from '../../shared/log/log.ts';
import type { Router } from '../routing/router.ts';
import type { CollectionRecord, CollectionsTable, ShardPlacement } from '../store/collections.ts';

export interface ReconcilerDeps {
  collections: Pick<CollectionsTable, 'all' | 'markDeleting' | 'remove'>;
  router: Pick<Router, 'request' | 'workers' | 'onConnect'>;
  clock: Clock;
  log: Log;
}

interface Doomed {
  record: CollectionRecord;
  /** Shards that have not been dropped yet. */
  shards: Map<ShardId, ShardPlacement>;
}

/** How long one worker may take to erase one shard before it is tried again at its next return. */
const DROP_TIMEOUT_MS = 60_000;

export class Reconciler {
  readonly #deps: ReconcilerDeps;
  readonly #doomed = new Map<CollectionId, Doomed>();
  /** Shards that a worker is being asked to drop at this moment. */
  readonly #dropping = new Set<ShardId>();

  constructor(deps: ReconcilerDeps) {
    this.#deps = deps;
  }

  /** Takes up what an earlier run left. Call once, before requests are served. */
  start(): void {
    const { collections, router } = this.#deps;
    for (const record of collections.all()) {
      if (record.state === 'active') continue;
      if (record.state === 'creating') collections.markDeleting(record.collectionId);
      this.#add(record);
    }
    router.onConnect((workerId) => void this.#reconcile(workerId));
    for (const { workerId, connected } of router.workers()) {
      if (connected) void this.#reconcile(workerId);
    }
  }

  /** How many collections wait for a worker to drop their shards. */
  get waiting(): number {
    return this.#doomed.size;
  }

  /**
   * Erases a collection whose record is marked `deleting`. Resolves when every worker that can be
   * reached has been asked; what is left waits for the others. Never rejects.
   */
  async erase(record: CollectionRecord): Promise<void> {
    const doomed = this.#add(record);
    await this.#dropAll(doomed, this.#connected());
  }

  #add(record: CollectionRecord): Doomed {
    const shards = new Map(record.shards.map((shard) => [shard.shardId, shard]));
    const doomed = { record, shards };
    this.#doomed.set(record.collectionId, doomed);
    return doomed;
  }

  #connected(): Set<WorkerId> {
    const workers = this.#deps.router.workers().filter((worker) => worker.connected);
    return new Set(workers.map((worker) => worker.workerId));
  }

  /** A worker has come: finishes what waited for it. */
  async #reconcile(workerId: WorkerId): Promise<void> {
    const waiting = [...this.#doomed.values()].filter((doomed) => holds(doomed, workerId));
    if (waiting.length === 0) return;
    const only = new Set([workerId]);
    for (const doomed of waiting) await this.#dropAll(doomed, only);
    const left = waiting.filter((doomed) => this.#doomed.has(doomed.record.collectionId)).length;
    const rolledBack = waiting.filter((doomed) => doomed.record.state === 'creating').length;
    this.#deps.log.event('reconcile_done', {
      workerId,
      finished: waiting.length - left,
      rolledBack,
      waiting: left,
    });
  }

  async #dropAll(doomed: Doomed, workers: ReadonlySet<WorkerId>): Promise<void> {
    const { shards, record } = doomed;
    const reachable = [...shards.values()].filter((shard) => workers.has(shard.workerId));
    await Promise.all(reachable.map((shard) => this.#drop(doomed, shard)));
    if (shards.size > 0 || !this.#doomed.delete(record.collectionId)) return;
    this.#remove(record);
  }

  #remove(record: CollectionRecord): void {
    const { collectionId, clientId, shards } = record;
    try {
      this.#deps.collections.remove(collectionId);
    } catch (error) {
      // The row stays `deleting`; the next start drops (nothing) and removes it.
      this.#deps.log.event('reconcile_done', { waiting: 1, error });
      return;
    }
    this.#deps.log.event('collection_deleted', { collectionId, clientId, shards: shards.length });
  }

  async #drop(doomed: Doomed, shard: ShardPlacement): Promise<void> {
    if (this.#dropping.has(shard.shardId)) return;
    this.#dropping.add(shard.shardId);
    const { router, clock, log } = this.#deps;
    try {
      const deadline = Deadline.after(clock, DROP_TIMEOUT_MS);
      const { clientId, mode, namespace, name, generation } = doomed.record;
      const { ordinal } = shard;
      const place = { clientId, mode, namespace, collection: name, generation, ordinal };
      await router.request(shard, 'shard-drop', { place }, undefined, deadline);
      doomed.shards.delete(shard.shardId);
    } catch (error) {
      log.event('shard_dropped', { shardId: shard.shardId, error });
    } finally {
      this.#dropping.delete(shard.shardId);
    }
  }
}

function holds(doomed: Doomed, workerId: WorkerId): boolean {
  for (const shard of doomed.shards.values()) if (shard.workerId === workerId) return true;
  return false;
}
