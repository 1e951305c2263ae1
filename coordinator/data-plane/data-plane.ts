/** What a client's requests can do, built over one catalog. */
import type { Clock } from '../../shared/base/clock.ts';
import type { ClientId, ShardId } from '../../shared/base/ids.ts';
import type { SecureRandom } from '../../shared/base/random.ts';
import type { ShardDescriptor } from '../../shared/domain/collection.ts';
import type { PlanLimits } from '../../shared/domain/plan.ts';
import type { Log } from '../../shared/log/log.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { WantedShard } from '../cluster/placing/outlook.ts';
import { ClientUsage, type UsageOwner } from '../limits/client-usage.ts';
import type { Quota } from '../limits/usage-account.ts';
import type { Router } from '../routing/router.ts';
import type { CollectionRecord, CollectionsTable } from '../store/collections.ts';
import type { ReshardingTable } from '../store/resharding.ts';
import { BoundedWrites } from './bounded-writes.ts';
import { allShards, Catalog } from './catalog.ts';
import { ClusterInfo } from './cluster-info.ts';
import { CollectionLocks } from './collection-locks.ts';
import { CollectionReads } from './collection-reads.ts';
import { CollectionWrites } from './collection-writes.ts';
import { Collections, type CollectionsDeps, type LimitsOf } from './collections.ts';
import { ConfigRepair } from './config-repair.ts';
import type { Work } from './cost.ts';
import { FilterCosts } from './filter-costs.ts';
import { Pausing, type PausingDeps } from './pausing/pausing.ts';
import { Queries } from './queries.ts';
import { Reconciler } from './reconcile.ts';
import { Resharding } from './resharding.ts';
import { descriptorOf } from './shard-descriptor.ts';
import { limitsFor } from './test-limits.ts';
import { Writes } from './writes.ts';

export interface DataPlaneDeps {
  /** `ControlStore.collections`. */
  store: CollectionsTable;
  /** `ControlStore.resharding`. */
  resharding: ReshardingTable;
  router: Router;
  cluster: Cluster;
  /** See `CollectionsDeps`. */
  placesFor: CollectionsDeps['placesFor'];
  limitsOf: (clientId: ClientId) => ReturnType<LimitsOf> & Quota;
  /** See `PausingDeps`. */
  control: PausingDeps['store'];
  idleDaysOf: PausingDeps['idleDaysOf'];
  isClientPaused: PausingDeps['isClientPaused'];
  tell: PausingDeps['tell'];
  /** See `CollectionsDeps`. */
  copiesChanged: CollectionsDeps['copiesChanged'];
  work: Work;
  /** No request takes longer. */
  requestTimeoutMs: number;
  clock: Clock;
  random: SecureRandom;
  log: Log;
}

export type Usage = Quota & Pick<PlanLimits, 'collections' | 'namespaces'>;

export class DataPlane {
  readonly collections: Collections;
  readonly queries: Queries;
  readonly writes: Writes;
  readonly clusterInfo: ClusterInfo;
  readonly pausing: Pausing;
  readonly #catalog: Catalog;
  readonly #router: Router;
  readonly #cluster: Cluster;
  readonly #store: CollectionsTable;
  readonly #reconciler: Reconciler;
  readonly #repair: ConfigRepair;
  readonly #usage: ClientUsage;
  readonly #resharding: Resharding;

  constructor(deps: DataPlaneDeps) {
    const { store, router, cluster, limitsOf, work, clock, random, log } = deps;
    const catalog = new Catalog(store.all());
    const locks = new CollectionLocks();
    const known = { catalog, locks, store, router, cluster, work, clock, log };
    const reconciler = new Reconciler({
      collections: store,
      metering: cluster.metering,
      router,
      clock,
      log,
    });
    const repair = new ConfigRepair(known);
    this.#catalog = catalog;
    this.#router = router;
    this.#cluster = cluster;
    this.#store = store;
    this.#reconciler = reconciler;
    this.#repair = repair;
    const usage = new ClientUsage({
      shardsOf: (owner) => catalog.shardsOf(owner),
      ask: async (shardId, deadline) => {
        return (await router.read({ shardId }, 'shard-usage', {}, undefined, deadline)).body;
      },
      holderOf: (shardId) => cluster.holderOf(shardId),
      connected: () => router.connected(),
      clock,
      log,
    });
    this.#usage = usage;
    const { placesFor, copiesChanged, requestTimeoutMs } = deps;
    const making = { placesFor, random, usage, requestTimeoutMs };
    const resharding = new Resharding({ ...known, ...making, store: deps.resharding });
    this.#resharding = resharding;
    const pausing = new Pausing({ ...deps, catalog, store: deps.control });
    this.pausing = pausing;
    const living = { pausing, reconciler, repair, usage, placesFor, copiesChanged, resharding };
    this.collections = new Collections({ ...known, ...living, limitsOf, random });
    this.clusterInfo = new ClusterInfo(known);
    const pointsOf = (record: CollectionRecord) => usage.pointsOf(record);
    const filterCosts = new FilterCosts(pointsOf);
    const reads = new CollectionReads({ router, clock });
    this.queries = new Queries({ pausing, reads, work, filterCosts, pointsOf, clock });
    const quotaOf = (owner: UsageOwner) => limitsFor(owner, limitsOf(owner.clientId));
    const bounded = new BoundedWrites({ router, usage, quotaOf, clock });
    const current = (record: CollectionRecord) => catalog.current(record);
    const collectionWrites = new CollectionWrites({ bounded, current, clock });
    this.writes = new Writes({ pausing, collectionWrites, work, filterCosts, clock });
  }

  /** Takes up what an earlier run left half done; before the first request is served. */
  start(): void {
    for (const { shards, filling, writeConsistencyFactor } of this.#catalog.all()) {
      this.#cluster.add(shards, writeConsistencyFactor, false);
      this.#cluster.fill(filling, writeConsistencyFactor, false);
    }
    this.#cluster.start({
      describe: (shardId) => this.#describe(shardId),
      isPaused: (shardId) => this.#isPaused(shardId),
    });
    this.#router.onConnect((workerId) => this.#usage.workerCame(workerId));
    this.#reconciler.start();
    this.#repair.start(this.#store.all().filter(isPending));
    this.#resharding.start();
    this.pausing.start();
  }

  /** Tries nothing again from now on. */
  close(): void {
    this.pausing.close();
    this.#reconciler.close();
    this.#repair.close();
    this.#resharding.close();
  }

  /** What a client's data of that mode takes of its quotas: of shards that are away, as last heard. */
  async usageOf(owner: UsageOwner): Promise<Usage> {
    const usage = this.#usage;
    if (usage.mustAsk(owner) || usage.mayAsk(owner)) await usage.ask(owner);
    const { points, bytes } = usage.account(owner).used;
    const counts = this.#catalog.countByNamespace(owner);
    const collections = counts.values().reduce((sum, count) => sum + count, 0);
    return { points, bytes, collections, namespaces: counts.size };
  }

  /** Every collection that is there. */
  allCollections(): Iterable<CollectionRecord> {
    return this.#catalog.all();
  }

  /** The same collection as it is now; undefined when it is gone. */
  collectionNow(
    place: Pick<CollectionRecord, 'collectionId' | 'clientId' | 'mode' | 'namespace' | 'name'>,
  ): CollectionRecord | undefined {
    const known = this.#catalog.get(place, place.name);
    return known?.collectionId === place.collectionId ? known : undefined;
  }

  /** Every shard of the collections that are there, those too that are being filled, with how many
   * replicas it should have. */
  *wantedShards(): Iterable<WantedShard> {
    for (const record of this.#catalog.all()) {
      const { replicationFactor } = record;
      for (const shard of allShards(record)) {
        yield { descriptor: descriptorOf(record, shard), replicationFactor };
      }
    }
  }

  #describe(shardId: ShardId): ShardDescriptor | undefined {
    const record = this.#catalog.ofShard(shardId);
    const shard = record && allShards(record).find((one) => one.shardId === shardId);
    return record && shard && descriptorOf(record, shard);
  }

  #isPaused(shardId: ShardId): boolean {
    const record = this.#catalog.ofShard(shardId);
    return record !== undefined && this.pausing.isAside(record);
  }

  /** Why not every collection can be served; undefined when all can. */
  notReady(): string | undefined {
    if (this.#router.connected().length === 0) return 'no worker is connected';
    const { shards, unreachable } = this.#cluster.count();
    if (unreachable === 0) return undefined;
    return `${unreachable} of ${shards} shards have no worker that is connected`;
  }
}

function isPending({ state, configPending }: CollectionRecord): boolean {
  return state === 'active' && configPending;
}
