/**
 * Collections and their life:
 *
 *   create() -> creating -- activate() --> active -- markDeleting() --> deleting -- remove() --> gone
 *                  |                                                       ^
 *                  +------------------ markDeleting() ---------------------+
 *
 * A row is written before any worker hears of its shards and removed after the last worker has
 * dropped them, so that a crash at any point leaves a row that says what must be finished. A name
 * is free again as soon as its collection is `deleting`; the next one of that name gets a later
 * generation, and with it another folder.
 *
 * A change of the configuration is marked before the worker hears of it, so that a crash between
 * the two leaves a row that says that they may differ (`data-plane/config-repair.ts`):
 *
 *   beginChange() -> pending -- finishChange() (the new one) or settleChange() (the old one) --> not
 *
 * The shards of an active collection may be replaced by others (`resharding.ts`).
 */
import type Database from 'better-sqlite3';
import { must } from '../../shared/base/assert.ts';
import type { Clock } from '../../shared/base/clock.ts';
import type { ClientId, CollectionId, ShardId, WorkerId } from '../../shared/base/ids.ts';
import type { CollectionConfig, Mode, PayloadIndexType } from '../../shared/domain/collection.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { ReplicaPlacement } from './replicas.ts';
import { guarded } from './sql-errors.ts';

export type CollectionState = 'creating' | 'active' | 'deleting';
/** Only those that are `active` are read and written. */
export type ShardState = 'active' | 'filling';

/** One shard of a collection, and where its copies live. */
export interface ShardPlacement {
  shardId: ShardId;
  ordinal: number;
  replicas: ReplicaPlacement[];
}

export interface NewCollection {
  collectionId: CollectionId;
  clientId: ClientId;
  mode: Mode;
  namespace: string;
  name: string;
  config: CollectionConfig;
  /** Field path (as text) to index type. */
  payloadIndexes: Record<string, PayloadIndexType>;
  /** Copies of each shard. */
  replicationFactor: number;
  /** Copies that must have a write before it is acknowledged. */
  writeConsistencyFactor: number;
  shards: ShardPlacement[];
}

export interface CollectionRecord extends NewCollection {
  /** Shards that are to take the place of `shards`; none when there are none to come. */
  filling: ShardPlacement[];
  /** Its shards may not know writes that took effect once under keys from before that time. */
  keysKnownSince: number;
  /** Counts the collections that this client, mode and namespace ever had, from 1. */
  generation: number;
  state: CollectionState;
  /** Whether the worker may have another configuration. */
  configPending: boolean;
  createdAt: number;
}

interface CollectionRow {
  collectionId: CollectionId;
  clientId: ClientId;
  mode: Mode;
  namespace: string;
  name: string;
  generation: number;
  state: CollectionState;
  config: string;
  payloadIndexes: string;
  configPending: 0 | 1;
  createdAt: number;
  replicationFactor: number;
  writeConsistencyFactor: number;
  keysKnownSince: number;
}

const COLUMNS = `collection_id AS collectionId, client_id AS clientId, mode, namespace, name,
  generation, state, config, payload_indexes AS payloadIndexes,
  config_pending AS configPending, created_at AS createdAt,
  replication_factor AS replicationFactor, write_consistency_factor AS writeConsistencyFactor,
  keys_known_since AS keysKnownSince`;

const REPLICA_COLUMNS =
  'worker_id AS workerId, state, synced_version AS syncedVersion, shard_id AS shardId';

interface ShardRow {
  collectionId: CollectionId;
  shardId: ShardId;
  ordinal: number;
  state: ShardState;
}

export class CollectionsTable {
  readonly #clock: Clock;
  readonly #create: Database.Transaction<(collection: NewCollection) => CollectionRecord>;
  readonly #all: Database.Statement<[], CollectionRow>;
  readonly #allShards: Database.Statement<[], ShardRow>;
  readonly #allReplicas: Database.Statement<[], ReplicaPlacement & { shardId: ShardId }>;
  readonly #activate: Database.Statement<[CollectionId]>;
  readonly #beginChange: Database.Statement<[CollectionId]>;
  readonly #finishChange: Database.Statement<[string, string, CollectionId]>;
  readonly #settleChange: Database.Statement<[CollectionId]>;
  readonly #setReplication: Database.Statement<[number, number, CollectionId]>;
  readonly #markDeleting: Database.Statement<[CollectionId]>;
  readonly #remove: Database.Statement<[CollectionId]>;
  readonly #count: Database.Statement<[], number>;
  readonly #countResharding: Database.Statement<[], number>;

  constructor(database: Database.Database, clock: Clock) {
    this.#clock = clock;
    this.#all = database.prepare(`SELECT ${COLUMNS} FROM collections ORDER BY collection_id`);
    this.#allShards = database.prepare(
      `SELECT collection_id AS collectionId, shard_id AS shardId, ordinal, state
        FROM shards ORDER BY collection_id, ordinal`,
    );
    this.#allReplicas = database.prepare(
      `SELECT ${REPLICA_COLUMNS} FROM replicas ORDER BY shard_id, worker_id`,
    );
    this.#activate = database.prepare(
      `UPDATE collections SET state = 'active' WHERE collection_id = ? AND state = 'creating'`,
    );
    this.#beginChange = database.prepare(
      `UPDATE collections SET config_pending = 1 WHERE collection_id = ? AND state = 'active'`,
    );
    this.#finishChange = database.prepare(
      `UPDATE collections SET config = ?, payload_indexes = ?, config_pending = 0
        WHERE collection_id = ? AND state = 'active'`,
    );
    this.#settleChange = database.prepare(
      'UPDATE collections SET config_pending = 0 WHERE collection_id = ?',
    );
    this.#setReplication = database.prepare(
      `UPDATE collections SET replication_factor = ?, write_consistency_factor = ?
        WHERE collection_id = ? AND state = 'active'`,
    );
    this.#markDeleting = database.prepare(
      `UPDATE collections SET state = 'deleting' WHERE collection_id = ?`,
    );
    this.#remove = database.prepare('DELETE FROM collections WHERE collection_id = ?');
    this.#count = database
      .prepare<[], number>(`SELECT count(*) FROM collections WHERE state = 'active'`)
      .pluck();
    this.#countResharding = database
      .prepare<[], number>(
        `SELECT count(DISTINCT collection_id) FROM shards JOIN collections USING (collection_id)
          WHERE shards.state = 'filling' AND collections.state = 'active'`,
      )
      .pluck();
    this.#create = this.#prepareCreate(database);
  }

  /**
   * Records a collection in state `creating` with its shards and the next generation.
   * Throws `already_exists` while another one of that name is not `deleting`.
   */
  create(collection: NewCollection): CollectionRecord {
    return guarded(() => this.#create.immediate(collection));
  }

  /** Throws `collection_not_found` unless the collection is `creating`. */
  activate(collectionId: CollectionId): void {
    mustChange(() => this.#activate.run(collectionId));
  }

  /** Marks the configuration as about to change. Throws `collection_not_found` unless `active`. */
  beginChange(collectionId: CollectionId): void {
    mustChange(() => this.#beginChange.run(collectionId));
  }

  /** Records the new configuration. Throws `collection_not_found` unless `active`. */
  finishChange(
    collectionId: CollectionId,
    { config, payloadIndexes }: Pick<CollectionRecord, 'config' | 'payloadIndexes'>,
  ): void {
    const texts = [JSON.stringify(config), JSON.stringify(payloadIndexes)] as const;
    mustChange(() => this.#finishChange.run(...texts, collectionId));
  }

  /** The worker has the recorded configuration (again); repeating it is harmless. */
  settleChange(collectionId: CollectionId): void {
    guarded(() => this.#settleChange.run(collectionId));
  }

  /** How many copies there shall be. Throws `collection_not_found` unless `active`. */
  setReplication(
    collectionId: CollectionId,
    {
      replicationFactor,
      writeConsistencyFactor,
    }: Pick<CollectionRecord, 'replicationFactor' | 'writeConsistencyFactor'>,
  ): void {
    const factors = [replicationFactor, writeConsistencyFactor] as const;
    mustChange(() => this.#setReplication.run(...factors, collectionId));
  }

  /** Throws `collection_not_found` when there is no such collection; repeating it is harmless. */
  markDeleting(collectionId: CollectionId): void {
    mustChange(() => this.#markDeleting.run(collectionId));
  }

  /** Forgets the collection and its shards, not its generation; repeating it is harmless. */
  remove(collectionId: CollectionId): void {
    guarded(() => this.#remove.run(collectionId));
  }

  /** Every collection in every state, with its shards by ordinal. */
  all(): CollectionRecord[] {
    const records = new Map<CollectionId, CollectionRecord>();
    for (const row of this.#all.all()) records.set(row.collectionId, fromRow(row));
    const shards = new Map<ShardId, ShardPlacement>();
    for (const { collectionId, state, ...shard } of this.#allShards.all()) {
      const placement = { ...shard, replicas: [] };
      shards.set(shard.shardId, placement);
      const record = must(records.get(collectionId), 'a shard has a collection');
      (state === 'active' ? record.shards : record.filling).push(placement);
    }
    for (const { shardId, ...replica } of this.#allReplicas.all()) {
      must(shards.get(shardId), 'a replica is of a shard').replicas.push(replica);
    }
    return [...records.values()];
  }

  /** Those of one client, in every state and both modes. */
  ofClient(clientId: ClientId): CollectionRecord[] {
    return this.all().filter((record) => record.clientId === clientId);
  }

  /** How many collections are `active`. */
  count(): number {
    return this.#count.get() ?? 0;
  }

  /** How many of them are being divided into another number of shards. */
  countResharding(): number {
    return this.#countResharding.get() ?? 0;
  }

  #prepareCreate(
    database: Database.Database,
  ): Database.Transaction<(collection: NewCollection) => CollectionRecord> {
    const nextGeneration = database
      .prepare<[ClientId, Mode, string], number>(
        `INSERT INTO generations (client_id, mode, namespace, generation) VALUES (?, ?, ?, 1)
          ON CONFLICT DO UPDATE SET generation = generation + 1 RETURNING generation`,
      )
      .pluck();
    const taken = database
      .prepare<[ClientId, Mode, string, string], number>(
        `SELECT 1 FROM collections
          WHERE client_id = ? AND mode = ? AND namespace = ? AND name = ?
            AND state <> 'deleting'`,
      )
      .pluck();
    const insert = database.prepare<[CollectionRow & { nextOrdinal: number }]>(
      `INSERT INTO collections VALUES (@collectionId, @clientId, @mode, @namespace, @name,
        @generation, @state, @config, @payloadIndexes, @configPending, @createdAt,
        @replicationFactor, @writeConsistencyFactor, @nextOrdinal, @keysKnownSince)`,
    );
    const insertShard = database.prepare<[ShardId, CollectionId, number, number]>(
      `INSERT INTO shards (shard_id, collection_id, ordinal, compared_at) VALUES (?, ?, ?, ?)`,
    );
    const insertReplica = database.prepare<[ShardId, WorkerId, string, number]>(
      'INSERT INTO replicas VALUES (?, ?, ?, 0, ?)',
    );
    return database.transaction((collection) => {
      const { config, payloadIndexes, shards, ...identity } = collection;
      const { clientId, mode, namespace, name, collectionId } = identity;
      if (taken.get(clientId, mode, namespace, name) !== undefined) {
        throw new AppError('already_exists', `Collection \`${name}\` already exists!`);
      }
      const next = nextGeneration.get(clientId, mode, namespace);
      const generation = must(next, 'a generation is given');
      const given = { generation, state: 'creating', createdAt: this.#clock.now() } as const;
      insert.run({
        ...identity,
        ...given,
        config: JSON.stringify(config),
        payloadIndexes: JSON.stringify(payloadIndexes),
        configPending: 0,
        nextOrdinal: shards.length,
        keysKnownSince: 0,
      });
      for (const { shardId, ordinal, replicas } of shards) {
        insertShard.run(shardId, collectionId, ordinal, given.createdAt);
        for (const { workerId, state } of replicas) {
          insertReplica.run(shardId, workerId, state, given.createdAt);
        }
      }
      return { ...collection, ...given, configPending: false, filling: [], keysKnownSince: 0 };
    });
  }
}

function fromRow(row: CollectionRow): CollectionRecord {
  return {
    ...row,
    config: JSON.parse(row.config) as CollectionConfig,
    payloadIndexes: JSON.parse(row.payloadIndexes) as Record<string, PayloadIndexType>,
    configPending: row.configPending === 1,
    shards: [],
    filling: [],
  };
}

function mustChange(update: () => Database.RunResult): void {
  if (guarded(update).changes === 0) throw new AppError('collection_not_found');
}
