/**
 * A collection's configuration stands in two places, its record and its shards' descriptors at the
 * workers, and the record is right. A change (`collections.ts`) goes
 *
 *   store: pending -> workers: shard-configure -> store: the new configuration, not pending
 *         | fails          | one fails, or is lost     | fails
 *         v                +---------------------------+--> still pending
 *    nothing changed
 *
 * so while a collection is pending its workers may have descriptors that the record does not. The
 * caller has heard that the change failed; here the workers get the record's descriptor again,
 * after a pause that grows and whenever one of them connects, until all have answered and the record
 * is no longer pending. A coordinator that dies in the middle finds the mark at its next start.
 * A descriptor replaces the one before it, so sending it too often does no harm.
 */
import type { Clock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import type { CollectionId, WorkerId } from '../../shared/base/ids.ts';
import { Retries } from '../../shared/base/retries.ts';
import type { Log } from '../../shared/log/log.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { Router } from '../routing/router.ts';
import type { CollectionRecord, CollectionsTable } from '../store/collections.ts';
import { allShards, type Catalog } from './catalog.ts';
import type { CollectionLocks } from './collection-locks.ts';
import { configureShards } from './configure-shards.ts';

export interface ConfigRepairDeps {
  catalog: Catalog;
  locks: CollectionLocks;
  store: Pick<CollectionsTable, 'settleChange'>;
  router: Pick<Router, 'onConnect'>;
  cluster: Pick<Cluster, 'set' | 'reaches'>;
  clock: Clock;
  log: Log;
}

/** How long a worker may take; other changes of the collection wait meanwhile. */
const CONFIGURE_TIMEOUT_MS = 30_000;

export class ConfigRepair {
  readonly #deps: ConfigRepairDeps;
  /** Records by what finds them; what they say of the configuration may be old. */
  readonly #pending = new Map<CollectionId, CollectionRecord>();
  readonly #retries: Retries<CollectionId>;

  constructor(deps: ConfigRepairDeps) {
    this.#deps = deps;
    this.#retries = new Retries(deps.clock, (id) => void this.#try(id));
  }

  /** Takes up the `pending` ones of an earlier run. Call once, before requests are served. */
  start(pending: Iterable<CollectionRecord>): void {
    for (const record of pending) this.#pending.set(record.collectionId, record);
    for (const id of this.#pending.keys()) void this.#try(id);
    this.#deps.router.onConnect((workerId) => this.#connected(workerId));
  }

  /** Tries nothing more; what is left is taken up by the next start. */
  close(): void {
    this.#retries.close();
  }

  /** A change has failed. */
  later(record: CollectionRecord): void {
    this.#pending.set(record.collectionId, record);
    this.#retries.retry(record.collectionId);
  }

  /** The collection is gone, or a later change has gone well. */
  settle(collectionId: CollectionId): void {
    this.#pending.delete(collectionId);
    this.#retries.settle(collectionId);
  }

  #connected(workerId: WorkerId): void {
    const { catalog, cluster } = this.#deps;
    for (const [id, known] of this.#pending) {
      const record = catalog.get(known, known.name);
      if (record?.collectionId !== id) continue;
      const isThere = allShards(record).some(({ shardId }) => cluster.reaches(shardId, workerId));
      if (isThere) void this.#try(id);
    }
  }

  async #try(collectionId: CollectionId): Promise<void> {
    const { locks, log } = this.#deps;
    try {
      await locks.run(collectionId, () => this.#repair(collectionId));
    } catch (error) {
      const next = this.#retries.retry(collectionId);
      if (next === undefined) return;
      const { attempts: attempt, delayMs } = next;
      log.event('configure_failed', { collectionId, attempt, delayMs, error });
    }
  }

  async #repair(collectionId: CollectionId): Promise<void> {
    const { catalog, store, cluster, clock } = this.#deps;
    const known = this.#pending.get(collectionId);
    if (known === undefined) return;
    const record = catalog.get(known, known.name);
    if (record?.collectionId !== collectionId) return this.settle(collectionId);
    // It is tried again when the one that is away connects.
    if (allShards(record).some(({ shardId }) => !cluster.reaches(shardId))) return;
    const deadline = Deadline.after(clock, CONFIGURE_TIMEOUT_MS);
    await configureShards(cluster, record, deadline);
    store.settleChange(collectionId);
    this.settle(collectionId);
  }
}
