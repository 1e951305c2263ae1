/** What a client's requests can do, built over one catalog. */
import type { Clock } from '../../shared/base/clock.ts';
import type { SecureRandom } from '../../shared/base/random.ts';
import type { Log } from '../../shared/log/log.ts';
import type { Router } from '../routing/router.ts';
import type { CollectionsTable } from '../store/collections.ts';
import { Catalog } from './catalog.ts';
import { Collections } from './collections.ts';
import { Queries } from './queries.ts';
import { Reconciler } from './reconcile.ts';
import { Writes } from './writes.ts';

export interface DataPlaneDeps {
  /** `ControlStore.collections`. */
  store: CollectionsTable;
  router: Router;
  clock: Clock;
  random: SecureRandom;
  log: Log;
}

export class DataPlane {
  readonly collections: Collections;
  readonly queries: Queries;
  readonly writes: Writes;
  readonly #reconciler: Reconciler;

  constructor({ store, router, clock, random, log }: DataPlaneDeps) {
    const catalog = new Catalog(store.all());
    const reconciler = new Reconciler({ collections: store, router, clock, log });
    this.#reconciler = reconciler;
    this.collections = new Collections({ catalog, store, router, reconciler, clock, random, log });
    this.queries = new Queries({ catalog, router });
    this.writes = new Writes({ catalog, router });
  }

  /** Takes up half-made and half-deleted collections; before the first request is served. */
  start(): void {
    this.#reconciler.start();
  }
}
