/** What a client's requests can do, built over one catalog. */
import type { Clock } from '../../shared/base/clock.ts';
import type { ClientId } from '../../shared/base/ids.ts';
import type { SecureRandom } from '../../shared/base/random.ts';
import type { PlanLimits } from '../../shared/domain/plan.ts';
import type { Log } from '../../shared/log/log.ts';
import { ClientUsage, type UsageOwner } from '../limits/client-usage.ts';
import type { Quota } from '../limits/usage-account.ts';
import type { Router } from '../routing/router.ts';
import type { CollectionRecord, CollectionsTable } from '../store/collections.ts';
import { BoundedWrites } from './bounded-writes.ts';
import { Catalog } from './catalog.ts';
import { CollectionLocks } from './collection-locks.ts';
import { Collections, type LimitsOf } from './collections.ts';
import { ConfigRepair } from './config-repair.ts';
import type { Work } from './cost.ts';
import { FilterCosts } from './filter-costs.ts';
import { Queries } from './queries.ts';
import { Reconciler } from './reconcile.ts';
import { limitsFor } from './test-limits.ts';
import { Writes } from './writes.ts';

export interface DataPlaneDeps {
  /** `ControlStore.collections`. */
  store: CollectionsTable;
  router: Router;
  limitsOf: (clientId: ClientId) => ReturnType<LimitsOf> & Quota;
  work: Work;
  clock: Clock;
  random: SecureRandom;
  log: Log;
}

export type Usage = Quota & Pick<PlanLimits, 'collections' | 'namespaces'>;

export class DataPlane {
  readonly collections: Collections;
  readonly queries: Queries;
  readonly writes: Writes;
  readonly #catalog: Catalog;
  readonly #router: Router;
  readonly #store: CollectionsTable;
  readonly #reconciler: Reconciler;
  readonly #repair: ConfigRepair;
  readonly #usage: ClientUsage;

  constructor({ store, router, limitsOf, work, clock, random, log }: DataPlaneDeps) {
    const catalog = new Catalog(store.all());
    const locks = new CollectionLocks();
    const known = { catalog, locks, store, router, work, clock, log };
    const reconciler = new Reconciler({ collections: store, router, clock, log });
    const repair = new ConfigRepair(known);
    this.#catalog = catalog;
    this.#router = router;
    this.#store = store;
    this.#reconciler = reconciler;
    this.#repair = repair;
    const usage = new ClientUsage({
      shardsOf: (owner) => catalog.shardsOf(owner),
      ask: async (shard, deadline) => {
        return (await router.request(shard, 'shard-usage', {}, undefined, deadline)).body;
      },
      connected: () => router.connected(),
      clock,
      log,
    });
    this.#usage = usage;
    this.collections = new Collections({ ...known, reconciler, repair, usage, limitsOf, random });
    const pointsOf = (record: CollectionRecord) => usage.pointsOf(record);
    const filterCosts = new FilterCosts(pointsOf);
    this.queries = new Queries({ catalog, router, work, filterCosts, pointsOf, clock });
    const quotaOf = (owner: UsageOwner) => limitsFor(owner, limitsOf(owner.clientId));
    const bounded = new BoundedWrites({ router, usage, quotaOf, clock });
    this.writes = new Writes({ catalog, bounded, work, filterCosts, clock });
  }

  /** Takes up what an earlier run left half done; before the first request is served. */
  start(): void {
    this.#router.onConnect((workerId) => this.#usage.workerCame(workerId));
    this.#reconciler.start();
    this.#repair.start(this.#store.all().filter(isPending));
  }

  /** Tries nothing again from now on. */
  close(): void {
    this.#reconciler.close();
    this.#repair.close();
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

  /** Why not every collection can be served; undefined when all can. */
  notReady(): string | undefined {
    const connected = new Set(this.#router.connected());
    if (connected.size === 0) return 'no worker is connected';
    const holders = this.#catalog.workers();
    const away = holders.filter((workerId) => !connected.has(workerId)).length;
    if (away === 0) return undefined;
    return `${away} of ${holders.length} workers that hold shards are not connected`;
  }
}

function isPending({ state, configPending }: CollectionRecord): boolean {
  return state === 'active' && configPending;
}
