/**
 * Collections that get another number of shards, while they are read and written:
 *
 *   begin() -> store: filling -> workers: shard-create -> copy (`cluster/copying/shard-copy.ts`)
 *                  ^                  |                     | fails           | proved, in the pause
 *                  |                  +---------------------+                 v
 *                  |                  v            | of no use     store: active, the old ones gone
 *                  |     again, after a pause      |                          v
 *                  +--- others, from the start <---+        catalog, usage, cluster in the same turn
 *
 * One collection at a time is copied, the longest waiting first. A coordinator that starts finds the
 * shards that are being filled in `control.db` and goes on. Writes that wait for the pause meet
 * `ShardMoved` when it ends, and are sent to the new shards (`collection-writes.ts`); reads that are
 * under way end with the old ones, whose files stay until none can be.
 *
 * Other changes of the collection, its deletion too, take turns with the steps here that change what it
 * is; none of those takes long but the waiting for them. What changes the configuration tells all
 * shards (`configure-shards.ts`).
 */
import type { Clock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import type { CollectionId, ShardId } from '../../shared/base/ids.ts';
import { Retries } from '../../shared/base/retries.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Log } from '../../shared/log/log.ts';
import type { Written } from '../../shared/protocol/schema.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { CopyFailed, type CopyFailure, ShardCopy } from '../cluster/copying/shard-copy.ts';
import type { ClientUsage } from '../limits/client-usage.ts';
import type { Router } from '../routing/router.ts';
import type { CollectionRecord, ShardPlacement } from '../store/collections.ts';
import type { ReshardingTable } from '../store/resharding.ts';
import type { Catalog } from './catalog.ts';
import type { CollectionLocks } from './collection-locks.ts';
import { prepareShard } from './configure-shards.ts';
import { everyShard } from './every-shard.ts';
import { type NewShardsDeps, newShards } from './new-shards.ts';
import { descriptorOf } from './shard-descriptor.ts';

export interface ReshardingDeps extends NewShardsDeps {
  catalog: Catalog;
  locks: CollectionLocks;
  store: ReshardingTable;
  cluster: Pick<Cluster, 'set' | 'fill' | 'replace' | 'remove' | 'reaches' | 'pages' | 'metering'>;
  router: Pick<Router, 'onConnect'>;
  usage: Pick<ClientUsage, 'resharded'>;
  /** No read takes longer. */
  requestTimeoutMs: number;
  clock: Clock;
  log: Log;
}

/** After a start, so that workers that lost their coordinator are there: who is not would leave those in
 * sync, and have to be levelled first. They dial again within two seconds. */
const START_PAUSE_MS = 2_500;
/** For making the new shards at their workers. */
const PREPARE_TIMEOUT_MS = 30_000;
/** Between the end of a request's time and its last word to a worker. */
const READS_MARGIN_MS = 1_000;
/** So often a copy is begun anew at once; after that, after pauses that grow. */
const RENEWALS_AT_ONCE = 3;
/** Tries that fail one after the other until new shards are given up whose workers are away. */
const TRIES_AWAY = 6;

export class Resharding {
  readonly #deps: ReshardingDeps;
  /** Collections that are being divided, by id; what a record says may be old. */
  readonly #known = new Map<CollectionId, CollectionRecord>();
  /** Those whose turn it is, the longest waiting first. */
  readonly #line = new Set<CollectionId>();
  readonly #retries: Retries<CollectionId>;
  /** Pauses between copies that were begun anew: good tries do not end them. */
  readonly #renewals: Retries<CollectionId>;
  /** The copy that goes on, or the last one. */
  readonly #copies = new Map<CollectionId, ShardCopy>();
  #running = false;
  #cancel: (() => void) | undefined;
  #closed = false;

  constructor(deps: ReshardingDeps) {
    this.#deps = deps;
    this.#retries = new Retries(deps.clock, (id) => this.#enqueue(id));
    this.#renewals = new Retries(deps.clock, (id) => this.#enqueue(id));
  }

  /** Takes up what an earlier run left. Call once, before requests are served. */
  start(): void {
    const { catalog, router, clock } = this.#deps;
    for (const record of catalog.all()) {
      if (record.filling.length > 0) this.#known.set(record.collectionId, record);
    }
    this.#cancel = clock.after(START_PAUSE_MS, () => {
      router.onConnect(() => this.#enqueueAll());
      this.#enqueueAll();
    });
  }

  /** Copies nothing more; what is left is taken up by the next start. */
  close(): void {
    this.#closed = true;
    this.#cancel?.();
    this.#retries.close();
    this.#renewals.close();
  }

  /**
   * Records that the collection is to have so many shards. To be called while no other change of it is
   * under way. Throws `unavailable` when there is no place for them.
   */
  begin(record: CollectionRecord, shards: number): void {
    const { catalog, store, cluster, log } = this.#deps;
    const { collectionId, clientId, writeConsistencyFactor } = record;
    const wanted = { shards, replicas: record.replicationFactor };
    const placed = newShards(this.#deps, clientId, wanted);
    const filling = store.begin(collectionId, placed);
    const changed = { ...record, filling };
    catalog.put(changed);
    cluster.fill(filling, writeConsistencyFactor, true);
    log.event('resharding_started', {
      collectionId,
      clientId,
      from: record.shards.length,
      to: shards,
    });
    this.#known.set(collectionId, changed);
    this.#enqueue(collectionId);
  }

  /** The collection is gone, or has its new shards. */
  settle(collectionId: CollectionId): void {
    this.#known.delete(collectionId);
    this.#line.delete(collectionId);
    this.#copies.delete(collectionId);
    this.#retries.settle(collectionId);
    this.#renewals.settle(collectionId);
  }

  /** Points that the new shards of a collection have, as far as is known. */
  pointsCopied({ collectionId }: CollectionRecord): number {
    return this.#copies.get(collectionId)?.points ?? 0;
  }

  /** A worker has come: what failed because it was away may go on. */
  #enqueueAll(): void {
    for (const id of this.#known.keys()) this.#enqueue(id);
  }

  #enqueue(collectionId: CollectionId): void {
    if (this.#closed || !this.#known.has(collectionId)) return;
    this.#line.add(collectionId);
    this.#next();
  }

  #next(): void {
    const [id] = this.#line;
    if (this.#closed || this.#running || id === undefined) return;
    this.#line.delete(id);
    this.#running = true;
    void this.#try(id).finally(() => {
      this.#running = false;
      this.#next();
    });
  }

  /** Never rejects. */
  async #try(collectionId: CollectionId): Promise<void> {
    try {
      await this.#divide(collectionId);
    } catch (error) {
      await this.#failed(collectionId, error).catch((again: unknown) => {
        this.#later(collectionId, again);
      });
    }
  }

  async #divide(collectionId: CollectionId): Promise<void> {
    const { log, clock, cluster } = this.#deps;
    const startMs = clock.monotonicMs();
    const record = this.#recordOf(collectionId);
    const pausedMs = await this.#copy(record);
    void cluster.metering.forget(record.shards.map(({ shardId }) => shardId));
    const { clientId, shards, filling } = record;
    const points = this.pointsCopied(record);
    this.settle(collectionId);
    log.event('resharding_done', {
      collectionId,
      clientId,
      from: shards.length,
      to: filling.length,
      points,
      ms: Math.round(clock.monotonicMs() - startMs),
      pausedMs: Math.round(pausedMs),
    });
  }

  /** How long writes were held up, in milliseconds. */
  async #copy(record: CollectionRecord): Promise<number> {
    const { locks, cluster, store, clock } = this.#deps;
    const { collectionId } = record;
    await locks.run(collectionId, () => this.#prepare(collectionId));
    const setOf = ({ shardId }: ShardPlacement) => cluster.set(shardId);
    const states = store.copies(collectionId);
    const isWhole = new Set([...states].flatMap(([shardId, { whole }]) => (whole ? shardId : [])));
    const copy = new ShardCopy(
      {
        pages: cluster.pages,
        metering: cluster.metering,
        clock,
        note: (shardId, state) => {
          store.note(shardId, state);
          if (!state.whole || isWhole.has(shardId)) return;
          isWhole.add(shardId);
          // Pauses grow between failures that nothing was done between.
          this.#retries.settle(collectionId);
        },
        mustGoOn: () => void this.#recordOf(collectionId, record.filling),
      },
      {
        sources: record.shards.map(setOf),
        targets: record.filling.map(setOf),
        replicas: record.replicationFactor,
        dimension: record.config.vector.dimension,
        states,
      },
    );
    this.#copies.set(collectionId, copy);
    await copy.catchUp();
    return locks.run(collectionId, async () => {
      this.#recordOf(collectionId, record.filling);
      return copy.conclude((held) => this.#takePlace(collectionId, held));
    });
  }

  /** Makes the new shards at their workers; repeating it does no harm. */
  async #prepare(collectionId: CollectionId): Promise<void> {
    const { cluster, clock } = this.#deps;
    const record = this.#recordOf(collectionId);
    // Other changes wait for this one, so it does not wait for a worker to come.
    if (this.#isAway(collectionId)) {
      throw new AppError('unavailable', 'a worker that is to hold a new shard is away');
    }
    const deadline = Deadline.after(clock, PREPARE_TIMEOUT_MS);
    await everyShard({ shards: record.filling }, (shard) => {
      return prepareShard(cluster, record, shard, deadline);
    });
  }

  /** The new shards are the collection's; while none of its writes is under way. */
  #takePlace(collectionId: CollectionId, held: ReadonlyMap<ShardId, Written>): void {
    const { catalog, store, cluster, usage, clock, requestTimeoutMs } = this.#deps;
    const record = this.#recordOf(collectionId);
    const readsEndMs = requestTimeoutMs + READS_MARGIN_MS;
    const now = clock.now();
    // Of a write over several shards each knew its own part only: that is of no use to others.
    const keysKnownSince = record.shards.length > 1 ? now : record.keysKnownSince;
    const files = filesOf(record, record.shards);
    store.finish(collectionId, files, { eraseAt: now + readsEndMs, keysKnownSince });
    catalog.put({ ...record, shards: record.filling, filling: [], keysKnownSince });
    cluster.replace(record.shards, held, readsEndMs);
    usage.resharded(record, held);
  }

  /** Drops the new shards, and begins with others. */
  #renew(collectionId: CollectionId, reason: CopyFailure | 'away'): void {
    const { catalog, store, cluster, log } = this.#deps;
    const record = this.#recordOf(collectionId);
    const { clientId, filling, replicationFactor, writeConsistencyFactor } = record;
    const wanted = { shards: filling.length, replicas: replicationFactor };
    const placed = newShards(this.#deps, clientId, wanted);
    const dropped = filesOf(record, filling);
    const fresh = store.renew(collectionId, dropped, placed);
    catalog.put({ ...record, filling: fresh });
    cluster.remove(filling);
    cluster.fill(fresh, writeConsistencyFactor, true);
    this.#copies.delete(collectionId);
    const next = this.#renewals.retry(collectionId);
    if (next === undefined) return;
    const { attempts: attempt } = next;
    const isSoon = attempt <= RENEWALS_AT_ONCE;
    log.event('resharding_renewed', {
      collectionId,
      reason,
      attempt,
      delayMs: isSoon ? 0 : next.delayMs,
    });
    if (isSoon) this.#enqueue(collectionId);
  }

  async #failed(collectionId: CollectionId, error: unknown): Promise<void> {
    const isUseless = error instanceof CopyFailed;
    const attempts = isUseless ? 0 : this.#later(collectionId, error);
    if (!isUseless && (attempts === 0 || attempts % TRIES_AWAY !== 0)) return;
    await this.#deps.locks.run(collectionId, async () => {
      if (!this.#isWanted(collectionId)) return;
      if (isUseless) this.#renew(collectionId, error.reason);
      else if (this.#isAway(collectionId)) this.#renew(collectionId, 'away');
    });
  }

  /** How many tries have failed; 0 when there will be no other. */
  #later(collectionId: CollectionId, error: unknown): number {
    if (!this.#isWanted(collectionId)) return 0;
    const next = this.#retries.retry(collectionId);
    if (next === undefined) return 0;
    const { attempts: attempt, delayMs } = next;
    this.#deps.log.event('resharding_failed', { collectionId, attempt, delayMs, error });
    return attempt;
  }

  /** Whether a new shard has no replica that can be reached, which other workers could hold. */
  #isAway(collectionId: CollectionId): boolean {
    const { filling } = this.#recordOf(collectionId);
    return filling.some(({ shardId }) => !this.#deps.cluster.reaches(shardId));
  }

  #isWanted(collectionId: CollectionId): boolean {
    if (this.#closed) return false;
    const known = this.#known.get(collectionId);
    const record = known && this.#deps.catalog.get(known, known.name);
    return record?.collectionId === collectionId && record.filling.length > 0;
  }

  /** The collection as it is. Throws when it is gone or has its shards, or has others than those. */
  #recordOf(collectionId: CollectionId, filling?: readonly ShardPlacement[]): CollectionRecord {
    const { catalog } = this.#deps;
    const known = this.#known.get(collectionId);
    if (!this.#isWanted(collectionId) || known === undefined) throw goneError();
    const record = catalog.current(known);
    if (filling !== undefined && record.filling[0]?.shardId !== filling[0]?.shardId) {
      throw goneError();
    }
    return record;
  }
}

function goneError(): AppError {
  return new AppError('collection_not_found', 'there is nothing to be divided any more');
}

function filesOf(record: CollectionRecord, shards: readonly ShardPlacement[]) {
  return shards.map((shard) => {
    return { shardId: shard.shardId, place: descriptorOf(record, shard).place };
  });
}
