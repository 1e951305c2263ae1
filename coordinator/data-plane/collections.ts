/**
 * The life of collections. Creating one is a row before a worker hears of it and a change of that
 * row's state after the worker has made it, so a crash anywhere leaves a row that says what to
 * undo (`reconcile.ts`):
 *
 *   check -> place -> store: creating -> worker: shard-create -> store: active -> catalog
 *                                            | fails
 *                                            +--> store: deleting -> worker: shard-drop -> gone
 *
 * Changes of one collection, its deletion too, come one after the other. `config-repair.ts` says
 * what becomes of a change that fails.
 */
import type { Clock } from '../../shared/base/clock.ts';
import type { Deadline } from '../../shared/base/deadline.ts';
import type { ClientId, CollectionId, ShardId } from '../../shared/base/ids.ts';
import { InvalidInput } from '../../shared/base/invalid.ts';
import type { SecureRandom } from '../../shared/base/random.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { formatPayloadPath, parsePayloadPath } from '../../shared/domain/payload-path.ts';
import type { PlanLimits } from '../../shared/domain/plan.ts';
import type { JsonObject } from '../../shared/domain/point.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Log } from '../../shared/log/log.ts';
import type { ClientUsage } from '../limits/client-usage.ts';
import type { Router } from '../routing/router.ts';
import type { CollectionRecord, CollectionsTable } from '../store/collections.ts';
import type { Catalog, Owner } from './catalog.ts';
import { describeCollection } from './collection-info.ts';
import type { CollectionLocks } from './collection-locks.ts';
import type { ConfigRepair } from './config-repair.ts';
import { COLLECTION_COST, changeCost, unitsOf, type Work } from './cost.ts';
import {
  type CreateInput,
  collectionNameProblem,
  parseCollection,
  parseIndexType,
  parseUpdate,
  type UpdateInput,
} from './parse-collection.ts';
import { Places } from './places.ts';
import type { Reconciler } from './reconcile.ts';
import { descriptorOf } from './shard-descriptor.ts';
import { soleShard } from './sole-shard.ts';

/** What a client's plan allows. */
export type LimitsOf = (
  clientId: ClientId,
) => Pick<PlanLimits, 'collections' | 'namespaces' | 'dimensions'>;

export interface CollectionsDeps {
  catalog: Catalog;
  locks: CollectionLocks;
  store: Pick<
    CollectionsTable,
    'create' | 'activate' | 'beginChange' | 'finishChange' | 'markDeleting' | 'ofClient'
  >;
  router: Pick<Router, 'request' | 'place'>;
  reconciler: Pick<Reconciler, 'erase'>;
  repair: Pick<ConfigRepair, 'later' | 'settle'>;
  usage: Pick<ClientUsage, 'created' | 'dropped' | 'forget'>;
  limitsOf: LimitsOf;
  work: Work;
  clock: Clock;
  random: SecureRandom;
  log: Log;
}

export class Collections {
  readonly #deps: CollectionsDeps;
  readonly #places: Places;

  constructor(deps: CollectionsDeps) {
    this.#deps = deps;
    this.#places = new Places(deps.catalog);
  }

  list(owner: Owner): string[] {
    return this.#deps.catalog.list(owner).map((record) => record.name);
  }

  exists(owner: Owner, name: string): boolean {
    return this.#deps.catalog.get(owner, name) !== undefined;
  }

  /** Throws `collection_not_found`. */
  mustExist(owner: Owner, name: string): void {
    this.#deps.catalog.find(owner, name);
  }

  /** Throws `already_exists`, `unavailable`, `InvalidInput` and what a worker may answer. */
  async create(owner: Owner, name: string, input: CreateInput, deadline: Deadline): Promise<void> {
    const { clock, log } = this.#deps;
    const startMs = clock.monotonicMs();
    const problem = collectionNameProblem(name);
    if (problem !== undefined) throw new AppError('invalid_argument', problem);
    const config = parseCollection(input);
    if (this.exists(owner, name)) throw alreadyExists(name);
    const most = this.#deps.limitsOf(owner.clientId);
    const { dimension } = config.vector;
    if (dimension > most.dimensions) {
      throw new InvalidInput('vectors.size', `is at most ${most.dimensions} on your plan`);
    }
    const release = this.#places.take(owner, most);
    try {
      this.#deps.work.spend(owner.clientId, COLLECTION_COST);
      const record = this.#record(owner, name, config);
      await this.#build(record, deadline);
      const { collectionId, clientId, shards } = record;
      const ms = Math.round(clock.monotonicMs() - startMs);
      log.event('collection_created', { collectionId, clientId, shards: shards.length, ms });
    } finally {
      release();
    }
  }

  async info(owner: Owner, name: string, deadline: Deadline): Promise<JsonObject> {
    const record = this.#deps.catalog.find(owner, name);
    const shard = soleShard(record);
    const status = await this.#deps.router.request(shard, 'shard-status', {}, undefined, deadline);
    return describeCollection(record, status.body);
  }

  async update(owner: Owner, name: string, input: UpdateInput, deadline: Deadline): Promise<void> {
    await this.#change(owner, name, deadline, (record) => {
      const config = parseUpdate(input, record.config);
      return { ...record, config };
    });
  }

  /** False when there is no such collection. Its shards go now or when their worker returns. */
  async delete(owner: Owner, name: string, deadline: Deadline): Promise<boolean> {
    const { catalog, locks, reconciler, clock } = this.#deps;
    const record = catalog.get(owner, name);
    if (record === undefined) return false;
    if (!(await locks.run(record.collectionId, async () => this.#remove(record)))) return false;
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const cancel = clock.after(deadline.remainingMs(), resolve);
    const erased = reconciler.erase({ ...record, state: 'deleting' });
    await Promise.race([erased, late]).finally(cancel);
    return true;
  }

  /**
   * Takes away and erases all that a client has, in both modes, as far as its workers are there.
   * Answers how many of its collections are left.
   */
  async eraseAll(clientId: ClientId): Promise<number> {
    const { store, locks, reconciler, usage } = this.#deps;
    // One that is being made is met by the next try, as what becomes of it.
    const erasures = store.ofClient(clientId).map(async (record) => {
      if (record.state !== 'active') return;
      if (!(await locks.run(record.collectionId, async () => this.#remove(record)))) return;
      await reconciler.erase({ ...record, state: 'deleting' });
    });
    await Promise.all(erasures);
    const left = store.ofClient(clientId).length;
    if (left === 0) usage.forget(clientId);
    return left;
  }

  /** Takes the collection away from its client; false when that was done meanwhile. */
  #remove(record: CollectionRecord): boolean {
    const { catalog, store, repair, usage } = this.#deps;
    const { collectionId, name } = record;
    if (catalog.get(record, name)?.collectionId !== collectionId) return false;
    store.markDeleting(collectionId);
    catalog.remove(record);
    usage.dropped(record);
    repair.settle(collectionId);
    return true;
  }

  /** Answers the version the shard gave when the index is filled. */
  async createIndex(
    owner: Owner,
    name: string,
    index: { field: unknown; schema: unknown },
    deadline: Deadline,
  ): Promise<number> {
    const field = formatPayloadPath(parsePayloadPath(index.field, 'field_name'));
    const type = parseIndexType(index.schema, 'field_schema');
    return this.#change(owner, name, deadline, (record) => {
      const payloadIndexes = { ...record.payloadIndexes, [field]: type };
      if (Object.keys(payloadIndexes).length > LIMITS.payloadIndexesMax) {
        const problem = `a collection has at most ${LIMITS.payloadIndexesMax} payload indexes`;
        throw new InvalidInput('field_name', problem);
      }
      return { ...record, payloadIndexes };
    });
  }

  /** Deleting an index that is not there succeeds. */
  async deleteIndex(
    owner: Owner,
    name: string,
    fieldName: string,
    deadline: Deadline,
  ): Promise<number> {
    const field = formatPayloadPath(parsePayloadPath(fieldName, 'field_name'));
    return this.#change(owner, name, deadline, (record) => {
      const payloadIndexes = { ...record.payloadIndexes };
      delete payloadIndexes[field];
      return { ...record, payloadIndexes };
    });
  }

  #record(owner: Owner, name: string, config: CollectionRecord['config']): CollectionRecord {
    const { store, router, random } = this.#deps;
    return store.create({
      collectionId: random.uuid() as CollectionId,
      clientId: owner.clientId,
      mode: owner.mode,
      namespace: owner.namespace,
      name,
      config,
      payloadIndexes: {},
      shards: [{ shardId: random.uuid() as ShardId, ordinal: 0, workerId: router.place() }],
    });
  }

  async #build(record: CollectionRecord, deadline: Deadline): Promise<void> {
    const { store, catalog, router, usage } = this.#deps;
    const shard = soleShard(record);
    try {
      const body = { descriptor: descriptorOf(record) };
      await router.request(shard, 'shard-create', body, undefined, deadline);
      store.activate(record.collectionId);
    } catch (error) {
      // The client gets its answer now; row and shard go when disk and worker let them.
      void this.#deps.reconciler.erase(record);
      // Undone, so this is no longer "may or may not have happened".
      if (!(error instanceof AppError) || error.code !== 'write_outcome_unknown') throw error;
      const text = 'the worker was lost and no collection was created; try again';
      throw new AppError('unavailable', text, { cause: error });
    }
    catalog.put({ ...record, state: 'active' });
    usage.created(record);
  }

  async #change(
    owner: Owner,
    name: string,
    deadline: Deadline,
    change: (record: CollectionRecord) => CollectionRecord,
  ): Promise<number> {
    const { catalog, locks, router, work } = this.#deps;
    const { collectionId } = catalog.find(owner, name);
    return locks.run(collectionId, async () => {
      const current = catalog.find(owner, name);
      if (current.collectionId !== collectionId) throw new AppError('collection_not_found');
      const changed = change(current);
      const shard = soleShard(current);
      const { body } = await router.request(shard, 'shard-usage', {}, undefined, deadline);
      work.spend(owner.clientId, unitsOf([changeCost(current, changed, body.points)]));
      return this.#configure(current, changed, deadline);
    });
  }

  /** See the head of `config-repair.ts`. */
  async #configure(
    current: CollectionRecord,
    changed: CollectionRecord,
    deadline: Deadline,
  ): Promise<number> {
    const { catalog, store, router, repair } = this.#deps;
    const { collectionId } = current;
    store.beginChange(collectionId);
    let version: number;
    try {
      const body = { descriptor: descriptorOf(changed) };
      const shard = soleShard(changed);
      const reply = await router.request(shard, 'shard-configure', body, undefined, deadline);
      store.finishChange(collectionId, changed);
      version = reply.body.version;
    } catch (error) {
      repair.later(current);
      throw error;
    }
    repair.settle(collectionId);
    catalog.put(changed);
    return version;
  }
}

function alreadyExists(name: string): AppError {
  return new AppError('already_exists', `Collection \`${name}\` already exists!`);
}
