/**
 * The life of collections. Creating one is a row before a worker hears of it and a change of that
 * row's state after the workers have made its shards, so a crash anywhere leaves a row that says what to
 * undo (`reconcile.ts`):
 *
 *   check -> place -> store: creating -> workers: shard-create -> store: active -> catalog
 *                                            | one fails, all have ended
 *                                            +--> store: deleting -> workers: shard-drop -> gone
 *
 * Changes of one collection, its deletion too, come one after the other. `config-repair.ts` says
 * what becomes of a change that fails, `resharding.ts` how the number of shards changes.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Clock } from '../../shared/base/clock.ts';
import type { Deadline } from '../../shared/base/deadline.ts';
import type { ClientId, CollectionId } from '../../shared/base/ids.ts';
import { InvalidInput } from '../../shared/base/invalid.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { formatPayloadPath, parsePayloadPath } from '../../shared/domain/payload-path.ts';
import type { PlanLimits } from '../../shared/domain/plan.ts';
import type { JsonObject } from '../../shared/domain/point.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Log } from '../../shared/log/log.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { ClientUsage } from '../limits/client-usage.ts';
import type { Payer } from '../limits/tally.ts';
import type { Router } from '../routing/router.ts';
import type { CollectionRecord, CollectionsTable, ShardPlacement } from '../store/collections.ts';
import { allShards, type Catalog, type Owner } from './catalog.ts';
import { describeCollection } from './collection-info.ts';
import type { CollectionLocks } from './collection-locks.ts';
import type { ConfigRepair } from './config-repair.ts';
import { configureShards } from './configure-shards.ts';
import { COLLECTION_COST, changeCost, reshardCost, unitsOf, type Work } from './cost.ts';
import { everyShard } from './every-shard.ts';
import { type NewShardsDeps, newShards } from './new-shards.ts';
import {
  type CreateInput,
  changesMore,
  collectionNameProblem,
  type ParsedCollection,
  parseCollection,
  parseIndexType,
  parseReplication,
  parseShardChange,
  parseShardNumber,
  parseUpdate,
  type UpdateInput,
} from './parse-collection.ts';
import type { Pausing } from './pausing/pausing.ts';
import { Places } from './places.ts';
import type { Reconciler } from './reconcile.ts';
import { checkReplicas, isSameReplication, replicationOf, spreadCost } from './replication.ts';
import type { Resharding } from './resharding.ts';
import { descriptorOf } from './shard-descriptor.ts';

/** What is left of a client's collections, and how many points went; undefined: not all could be counted. */
export interface Erased {
  left: number;
  points: number | undefined;
}

/** What a client's plan allows. */
export type LimitsOf = (
  clientId: ClientId,
) => Pick<PlanLimits, 'collections' | 'namespaces' | 'dimensions' | 'replicas'>;

/** Whoever changes collections, in one request. */
type Caller = Owner & Payer;

export interface CollectionsDeps extends NewShardsDeps {
  catalog: Catalog;
  pausing: Pick<Pausing, 'use'>;
  locks: CollectionLocks;
  store: Pick<
    CollectionsTable,
    | 'create'
    | 'activate'
    | 'beginChange'
    | 'finishChange'
    | 'setReplication'
    | 'markDeleting'
    | 'ofClient'
  >;
  router: Pick<Router, 'ask' | 'read'>;
  cluster: Pick<Cluster, 'add' | 'remove' | 'set'>;
  resharding: Pick<Resharding, 'begin' | 'settle' | 'pointsCopied'>;
  reconciler: Pick<Reconciler, 'erase'>;
  repair: Pick<ConfigRepair, 'later' | 'settle'>;
  usage: Pick<ClientUsage, 'created' | 'dropped' | 'forget'>;
  limitsOf: LimitsOf;
  /** Told when shards shall have more copies or fewer. */
  copiesChanged: () => void;
  work: Work;
  clock: Clock;
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
  async create(owner: Caller, name: string, input: CreateInput, deadline: Deadline): Promise<void> {
    const { clock, log } = this.#deps;
    const startMs = clock.monotonicMs();
    const problem = collectionNameProblem(name);
    if (problem !== undefined) throw new AppError('invalid_argument', problem);
    const parsed = parseCollection(input);
    const shardCount = parseShardNumber(input.shard_number);
    if (this.exists(owner, name)) throw alreadyExists(name);
    const most = this.#deps.limitsOf(owner.clientId);
    const { dimension } = parsed.config.vector;
    if (dimension > most.dimensions) {
      throw new InvalidInput('vectors.size', `is at most ${most.dimensions} on your plan`);
    }
    checkReplicas(parsed, most, { path: 'replication_factor' });
    const release = this.#places.take(owner, most, shardCount);
    try {
      this.#deps.work.spend(owner, COLLECTION_COST * shardCount);
      const record = this.#record(owner, name, parsed, shardCount);
      await this.#build(record, deadline);
      const { collectionId, clientId, shards } = record;
      const ms = Math.round(clock.monotonicMs() - startMs);
      log.event('collection_created', { collectionId, clientId, shards: shards.length, ms });
    } finally {
      release();
    }
  }

  async info(owner: Owner, name: string, deadline: Deadline): Promise<JsonObject> {
    const { catalog, router } = this.#deps;
    const record = catalog.find(owner, name);
    const asked = record.shards.map((shard) => {
      return router.read(shard, 'shard-status', {}, undefined, deadline);
    });
    const statuses = (await Promise.all(asked)).map(({ body }) => body);
    return describeCollection(record, statuses, this.#deps.resharding.pointsCopied(record));
  }

  /**
   * Copies are made and taken away after the answer, and so are other shards filled. Throws
   * `collection_not_found`, `InvalidInput`, `conflict` while yet another number of shards is being
   * made, and what workers answer.
   */
  async update(owner: Caller, name: string, input: UpdateInput, deadline: Deadline): Promise<void> {
    const shards = parseShardChange(input);
    if (shards !== undefined) mustNotConflict(this.#deps.catalog.find(owner, name), shards);
    if (shards === undefined || changesMore(input)) {
      await this.#reconfigure(owner, name, input, deadline);
    }
    if (shards !== undefined) await this.#reshard(owner, name, shards, deadline);
  }

  async #reconfigure(
    owner: Caller,
    name: string,
    input: UpdateInput,
    deadline: Deadline,
  ): Promise<void> {
    const at = 'params.';
    const path = `${at}replication_factor`;
    await this.#change(owner, name, deadline, (record) => {
      const config = parseUpdate(input, record.config);
      const replication = parseReplication(input.params ?? {}, record, at);
      const most = this.#deps.limitsOf(owner.clientId);
      checkReplicas(replication, most, { path, current: record.replicationFactor });
      return { ...record, config, ...replication };
    });
  }

  async #reshard(owner: Caller, name: string, shards: number, deadline: Deadline): Promise<void> {
    await this.#locked(owner, name, async (record) => {
      mustNotConflict(record, shards);
      if (shards === (record.filling.length || record.shards.length)) return;
      const points = await this.#pointsOf(record, deadline);
      this.#places.checkShards(owner, shards);
      this.#deps.work.spend(owner, unitsOf([reshardCost(record.config, points, shards)]));
      this.#deps.resharding.begin(record, shards);
    });
  }

  /** False when there is no such collection. Its shards go now or when their worker returns; the tally hears how
   * many points there were if all workers say so in time. */
  async delete(owner: Caller, name: string, deadline: Deadline): Promise<boolean> {
    const { catalog, locks, reconciler, clock } = this.#deps;
    const record = catalog.get(owner, name);
    if (record === undefined) return false;
    const removed = await locks.run(record.collectionId, async () => this.#remove(record));
    if (removed === undefined) return false;
    const { promise: late, resolve } = Promise.withResolvers<undefined>();
    const cancel = clock.after(deadline.remainingMs(), () => resolve(undefined));
    const erased = reconciler.erase(removed);
    owner.tally.deleted = await Promise.race([erased, late]).finally(cancel);
    return true;
  }

  /**
   * Takes away and erases all that a client has, in both modes, as far as its workers are there.
   * Answers how many of its collections are left, and how many points went, unless one could not be asked.
   */
  async eraseAll(clientId: ClientId): Promise<Erased> {
    const { store, locks, reconciler, usage } = this.#deps;
    // One that is being made is met by the next try, as what becomes of it.
    const erasures = store.ofClient(clientId).map(async (record) => {
      // One that is on its way out is counted by whoever deleted it.
      if (record.state !== 'active') return undefined;
      const removed = await locks.run(record.collectionId, async () => this.#remove(record));
      return removed && reconciler.erase(removed);
    });
    const counts = await Promise.all(erasures);
    const known = counts.filter((count) => count !== undefined);
    const isKnown = known.length === counts.length;
    const points = isKnown ? known.reduce((sum, count) => sum + count, 0) : undefined;
    const left = store.ofClient(clientId).length;
    if (left === 0) usage.forget(clientId);
    return { left, points };
  }

  /**
   * Takes the collection away from its client, and answers what has to be erased: with the shards that
   * it has now, and their replicas. Undefined when that was done meanwhile.
   */
  #remove({ collectionId, ...known }: CollectionRecord): CollectionRecord | undefined {
    const { catalog, store, cluster, repair, resharding, usage } = this.#deps;
    const record = catalog.get(known, known.name);
    if (record?.collectionId !== collectionId) return undefined;
    const placed = (shard: ShardPlacement) => {
      return { ...shard, replicas: [...cluster.set(shard.shardId).replicas] };
    };
    const [shards, filling] = [record.shards.map(placed), record.filling.map(placed)];
    store.markDeleting(collectionId);
    catalog.remove(record);
    cluster.remove(allShards(record));
    usage.dropped(record);
    repair.settle(collectionId);
    resharding.settle(collectionId);
    return { ...record, shards, filling, state: 'deleting' };
  }

  /** Answers the version the shard gave, the highest of several, when the index is filled. */
  async createIndex(
    owner: Caller,
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
    owner: Caller,
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

  #record(
    owner: Owner,
    name: string,
    { config, ...spread }: ParsedCollection,
    shardCount: number,
  ): CollectionRecord {
    const { store, random } = this.#deps;
    const wanted = { shards: shardCount, replicas: spread.replicationFactor };
    const placed = newShards(this.#deps, owner.clientId, wanted);
    return store.create({
      collectionId: random.uuid() as CollectionId,
      clientId: owner.clientId,
      mode: owner.mode,
      namespace: owner.namespace,
      name,
      config,
      payloadIndexes: {},
      replicationFactor: spread.replicationFactor,
      writeConsistencyFactor: spread.writeConsistencyFactor,
      shards: placed.map((shard, ordinal) => ({ ...shard, ordinal })),
    });
  }

  async #build(record: CollectionRecord, deadline: Deadline): Promise<void> {
    const { store, catalog, router, cluster, usage } = this.#deps;
    try {
      await everyShard(record, async (shard) => {
        const body = { descriptor: descriptorOf(record, shard) };
        const made = shard.replicas.map(({ workerId }) => {
          const route = { shardId: shard.shardId, workerId };
          return router.ask(route, 'shard-create', body, undefined, deadline);
        });
        const failed = (await Promise.allSettled(made)).find(({ status }) => status === 'rejected');
        if (failed?.status === 'rejected') throw failed.reason;
      });
      store.activate(record.collectionId);
    } catch (error) {
      // The client gets its answer now; row and shard go when disk and worker let them.
      void this.#deps.reconciler.erase(record);
      // Undone, so this is no longer "may or may not have happened".
      if (!(error instanceof AppError) || error.code !== 'write_outcome_unknown') throw error;
      const text = 'a worker was lost and no collection was created; try again';
      throw new AppError('unavailable', text, { cause: error });
    }
    cluster.add(record.shards, record.writeConsistencyFactor, true);
    catalog.put({ ...record, state: 'active' });
    usage.created(record);
  }

  async #change(
    owner: Caller,
    name: string,
    deadline: Deadline,
    change: (record: CollectionRecord) => CollectionRecord,
  ): Promise<number> {
    return this.#locked(owner, name, async (current) => {
      const changed = change(current);
      const points = await this.#pointsOf(current, deadline);
      const others = (allShards(current).length - 1) * COLLECTION_COST;
      const copying = spreadCost(current, changed, points);
      const costs = [changeCost(current, changed, points), others, copying];
      this.#deps.work.spend(owner, unitsOf(costs));
      if (isSameReplication(current, changed)) return this.#configure(current, changed, deadline);
      const configured = { ...changed, ...replicationOf(current) };
      const isSame = isDeepStrictEqual(configured, current);
      const version = isSame ? 0 : await this.#configure(current, configured, deadline);
      this.#spread(changed);
      return version;
    });
  }

  /** Runs a change with the collection as it is when its turn comes. */
  async #locked<T>(
    owner: Owner,
    name: string,
    change: (record: CollectionRecord) => Promise<T>,
  ): Promise<T> {
    const { catalog, locks, pausing } = this.#deps;
    const { collectionId } = pausing.use(owner, name);
    return locks.run(collectionId, async () => {
      const current = catalog.find(owner, name);
      if (current.collectionId !== collectionId) throw new AppError('collection_not_found');
      return change(current);
    });
  }

  async #pointsOf(record: CollectionRecord, deadline: Deadline): Promise<number> {
    const usages = await everyShard(record, (shard) => {
      return this.#deps.router.read(shard, 'shard-usage', {}, undefined, deadline);
    });
    return usages.reduce((sum, { body }) => sum + body.points, 0);
  }

  /** Workers hear nothing of it: the copies are made and taken away in the background. */
  #spread(changed: CollectionRecord): void {
    const { catalog, store, cluster, copiesChanged } = this.#deps;
    store.setReplication(changed.collectionId, changed);
    catalog.put(changed);
    for (const { shardId } of allShards(changed)) {
      cluster.set(shardId).writeConsistency = changed.writeConsistencyFactor;
    }
    copiesChanged();
  }

  /** See the head of `config-repair.ts`. */
  async #configure(
    current: CollectionRecord,
    changed: CollectionRecord,
    deadline: Deadline,
  ): Promise<number> {
    const { catalog, store, cluster, repair } = this.#deps;
    const { collectionId } = current;
    store.beginChange(collectionId);
    let version: number;
    try {
      version = await configureShards(cluster, changed, deadline);
      store.finishChange(collectionId, changed);
    } catch (error) {
      repair.later(current);
      throw error;
    }
    repair.settle(collectionId);
    catalog.put(changed);
    return version;
  }
}

/** Throws while the collection is being divided into another number of shards. */
function mustNotConflict({ filling }: CollectionRecord, shards: number): void {
  if (filling.length === 0 || filling.length === shards) return;
  const text = `the collection is being divided into ${filling.length} shards: wait until it is`;
  throw new AppError('conflict', text);
}

function alreadyExists(name: string): AppError {
  return new AppError('already_exists', `Collection \`${name}\` already exists!`);
}
