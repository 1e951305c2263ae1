/**
 * Collections on their way out. A deleted collection is gone for its client at once; its shards
 * are erased when their workers can be reached, now or after their return:
 *
 *   erase() -> store: deleting -> what its writes came to, to the ledger (`cluster/metering.ts`)
 *                   |               -> shard-drop to each worker -> all answered -> store: removed
 *                   |                      |  away                                    |
 *                   |                      +--> kept; tried again when it connects    |
 *                   +--- fails ------------+--- fails --------------------------------+
 *                                          v
 *                        tried again after a pause that grows (`retries.ts`)
 *
 * At start everything in state `deleting` is taken up, and everything in state `creating` too: the
 * coordinator that was making it died before the client had an answer, so it is rolled back.
 * Each step does no harm when it is repeated, so a try that failed anywhere is simply made again.
 */
import type { Clock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import type { CollectionId, ShardId, WorkerId } from '../../shared/base/ids.ts';
import { Retries } from '../../shared/base/retries.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Log } from '../../shared/log/log.ts';
import type { Metering } from '../cluster/metering.ts';
import type { Router } from '../routing/router.ts';
import type { CollectionRecord, CollectionsTable, ShardPlacement } from '../store/collections.ts';
import { allShards } from './catalog.ts';
import { descriptorOf } from './shard-descriptor.ts';

export interface ReconcilerDeps {
  collections: Pick<CollectionsTable, 'all' | 'markDeleting' | 'remove'>;
  router: Pick<Router, 'ask' | 'connected' | 'onConnect'>;
  metering: Pick<Metering, 'finish' | 'forget'>;
  clock: Clock;
  log: Log;
}

interface Doomed {
  record: CollectionRecord;
  /** Whether the store has it as `deleting`. */
  marked: boolean;
  /** Replicas that have not been dropped yet, by shard and worker. */
  replicas: Map<string, Replica>;
  /** How many each shard had, of those that could be asked. */
  points: Map<ShardId, number>;
}

interface Replica {
  shard: ShardPlacement;
  workerId: WorkerId;
}

/** How long one worker may take to erase one shard before it is tried again. */
const DROP_TIMEOUT_MS = 60_000;

const NOBODY: ReadonlySet<WorkerId> = new Set();

export class Reconciler {
  readonly #deps: ReconcilerDeps;
  readonly #doomed = new Map<CollectionId, Doomed>();
  /** Replicas that a worker is being asked to drop at this moment. */
  readonly #dropping = new Set<string>();
  readonly #retries: Retries<CollectionId>;

  constructor(deps: ReconcilerDeps) {
    this.#deps = deps;
    this.#retries = new Retries(deps.clock, (id) => void this.#again(id));
  }

  /** Takes up what an earlier run left. Call once, before requests are served. */
  start(): void {
    const { collections, router } = this.#deps;
    for (const record of collections.all()) {
      // Frees the name at once, whoever is connected.
      if (record.state !== 'active') void this.#try(this.#add(record), NOBODY);
    }
    router.onConnect((workerId) => void this.#reconcile(workerId));
    for (const workerId of router.connected()) void this.#reconcile(workerId);
  }

  /** Tries nothing more; what is left is taken up by the next start. */
  close(): void {
    this.#retries.close();
  }

  /**
   * Erases a collection that nobody can find any more. Resolves when every worker that can be
   * reached has been asked, to how many points it had, unless a shard could not be asked; what is left is tried
   * later. Never rejects.
   */
  async erase(record: CollectionRecord): Promise<number | undefined> {
    const doomed = this.#add(record);
    await this.#try(doomed, new Set(this.#deps.router.connected()));
    if (doomed.points.size < record.shards.length) return undefined;
    return doomed.points.values().reduce((sum, count) => sum + count, 0);
  }

  #add(record: CollectionRecord): Doomed {
    const replicas = new Map<string, Replica>();
    for (const shard of allShards(record)) {
      for (const { workerId } of shard.replicas) {
        replicas.set(`${shard.shardId}/${workerId}`, { shard, workerId });
      }
    }
    const marked = record.state === 'deleting';
    const doomed: Doomed = { record, replicas, points: new Map(), marked };
    this.#doomed.set(record.collectionId, doomed);
    return doomed;
  }

  async #again(collectionId: CollectionId): Promise<void> {
    const doomed = this.#doomed.get(collectionId);
    if (doomed !== undefined) await this.#try(doomed, new Set(this.#deps.router.connected()));
  }

  /** A worker has come: finishes what waited for it. */
  async #reconcile(workerId: WorkerId): Promise<void> {
    const waiting = [...this.#doomed.values()].filter((doomed) => holds(doomed, workerId));
    if (waiting.length === 0) return;
    const only = new Set([workerId]);
    for (const doomed of waiting) await this.#try(doomed, only);
    const left = waiting.filter((doomed) => this.#doomed.has(doomed.record.collectionId)).length;
    const rolledBack = waiting.filter((doomed) => doomed.record.state === 'creating').length;
    this.#deps.log.event('reconcile_done', {
      workerId,
      finished: waiting.length - left,
      rolledBack,
      waiting: left,
    });
  }

  /** One try of all that is left to do, with the shards of `workers`. */
  async #try(doomed: Doomed, workers: ReadonlySet<WorkerId>): Promise<void> {
    const { replicas, record } = doomed;
    try {
      this.#mark(doomed);
      const reachable = [...replicas.values()].filter(({ workerId }) => workers.has(workerId));
      const byShard = Map.groupBy(reachable, ({ shard }) => shard);
      await Promise.all(
        [...byShard].map(async ([shard, held]) => {
          if (!(await this.#finish(doomed, shard))) return;
          await Promise.all(held.map((replica) => this.#drop(doomed, replica)));
        }),
      );
      if (replicas.size > 0 || !this.#doomed.has(record.collectionId)) return;
      this.#deps.collections.remove(record.collectionId);
    } catch (error) {
      this.#failed(doomed, error);
      return;
    }
    this.#doomed.delete(record.collectionId);
    void this.#deps.metering.forget(allShards(record).map(({ shardId }) => shardId));
    this.#retries.settle(record.collectionId);
    const { collectionId, clientId } = record;
    const fields = { collectionId, clientId, shards: record.shards.length };
    this.#deps.log.event('collection_deleted', fields);
  }

  #mark(doomed: Doomed): void {
    if (doomed.marked) return;
    try {
      this.#deps.collections.markDeleting(doomed.record.collectionId);
    } catch (error) {
      // The row is gone already: an earlier try got so far.
      if (!(error instanceof AppError) || error.code !== 'collection_not_found') throw error;
    }
    doomed.marked = true;
  }

  /** What was written to the shard is in the ledger. False while nobody can be asked for it. */
  async #finish({ record, points }: Doomed, shard: ShardPlacement): Promise<boolean> {
    // Nobody has written to a collection that never was, nor to shards that were being filled.
    if (record.state === 'creating' || record.filling.includes(shard)) return true;
    const { shardId } = shard;
    const finished = await this.#deps.metering.finish(shardId, record, shard.replicas);
    if (finished?.points !== undefined) points.set(shardId, finished.points);
    return finished !== undefined;
  }

  async #drop(doomed: Doomed, { shard, workerId }: Replica): Promise<void> {
    const { shardId } = shard;
    const key = `${shardId}/${workerId}`;
    if (this.#dropping.has(key)) return;
    this.#dropping.add(key);
    const { router, clock } = this.#deps;
    try {
      const deadline = Deadline.after(clock, DROP_TIMEOUT_MS);
      const { place } = descriptorOf(doomed.record, shard);
      await router.ask({ shardId, workerId }, 'shard-drop', { place }, undefined, deadline);
      doomed.replicas.delete(key);
    } finally {
      this.#dropping.delete(key);
    }
  }

  #failed({ record: { collectionId } }: Doomed, error: unknown): void {
    const next = this.#retries.retry(collectionId);
    if (next === undefined) return;
    const { attempts: attempt, delayMs } = next;
    this.#deps.log.event('erase_failed', { collectionId, attempt, delayMs, error });
  }
}

function holds(doomed: Doomed, workerId: WorkerId): boolean {
  for (const replica of doomed.replicas.values()) if (replica.workerId === workerId) return true;
  return false;
}
