/**
 * Which workers hold a copy of which shard, and how far each copy is:
 *
 *   add() -> behind -- join() --> in_sync -- leave() --> behind -- join() --> ...      remove() -> gone
 *
 * Every acknowledged write is in every replica that is `in_sync`. One that is `behind` has all
 * writes up to its synced version; more may be in it. A shard always keeps one that is in sync: it
 * is the shard.
 *
 * What is removed leaves files at its worker. `erasures` keeps what has still to be erased there,
 * until the worker has said that it is.
 */
import type Database from 'better-sqlite3';
import { assert } from '../../shared/base/assert.ts';
import type { Clock } from '../../shared/base/clock.ts';
import type { ClientId, ShardId, WorkerId } from '../../shared/base/ids.ts';
import type { Mode, ShardPlace } from '../../shared/domain/collection.ts';
import { guarded } from './sql-errors.ts';

export const REPLICA_STATES = ['in_sync', 'behind'] as const;
export type ReplicaState = (typeof REPLICA_STATES)[number];

/** One copy of a shard. */
export interface ReplicaPlacement {
  workerId: WorkerId;
  state: ReplicaState;
  /** Of one that is behind: it has every write up to this version. */
  syncedVersion: number;
}

/** One copy of a shard, and what it is a copy of. */
export interface PlacedReplica extends ReplicaPlacement {
  shardId: ShardId;
  ordinal: number;
  clientId: ClientId;
  mode: Mode;
  namespace: string;
  /** Name of the collection, and whether it is on its way out. */
  collection: string;
  deleting: boolean;
  /** Whether the shard is still being filled, to take the place of others. */
  filling: boolean;
  /** When it came to be in this state; milliseconds since 1970. */
  since: number;
}

/** What is absent does not matter. */
export interface ReplicaFilter {
  workerId?: WorkerId | undefined;
  clientId?: ClientId | undefined;
  state?: ReplicaState | undefined;
}

/** How far a replica had come when it left those in sync. */
export interface Leaving {
  workerId: WorkerId;
  syncedVersion: number;
}

/** Files of a shard at a worker that no longer holds it. */
export interface Erasure {
  shardId: ShardId;
  workerId: WorkerId;
  place: ShardPlace;
  /** Until then reads that are under way may need them; milliseconds since 1970. */
  notBefore: number;
}

type Named = [ShardId, WorkerId];

interface PageQuery {
  shardId: ShardId;
  workerId: WorkerId;
  onlyWorker: WorkerId | null;
  onlyClient: ClientId | null;
  onlyState: ReplicaState | null;
  limit: number;
}

type PlacedRow = Omit<PlacedReplica, 'deleting' | 'filling'> & { deleting: 0 | 1; filling: 0 | 1 };

const PAGE = `SELECT r.shard_id AS shardId, r.worker_id AS workerId, r.state,
    r.synced_version AS syncedVersion, r.since, s.ordinal, c.client_id AS clientId, c.mode,
    c.namespace, c.name AS collection, c.state = 'deleting' AS deleting,
    s.state = 'filling' AS filling
  FROM replicas r JOIN shards s USING (shard_id) JOIN collections c USING (collection_id)
  WHERE (r.shard_id, r.worker_id) > (@shardId, @workerId)
    AND (@onlyWorker IS NULL OR r.worker_id = @onlyWorker)
    AND (@onlyClient IS NULL OR c.client_id = @onlyClient)
    AND (@onlyState IS NULL OR r.state = @onlyState)
  ORDER BY r.shard_id, r.worker_id LIMIT @limit`;

/** Instead of the time when a shard was compared last. */
const ASKED = 0;
const HAS_SEVERAL = `(SELECT count(*) FROM replicas WHERE replicas.shard_id = shards.shard_id) > 1`;

export class ReplicasTable {
  readonly #clock: Clock;
  readonly #insert: Database.Statement<[...Named, ReplicaState, number, number]>;
  readonly #setState: Database.Statement<[ReplicaState, number, number, ...Named]>;
  readonly #setSynced: Database.Statement<[number, ...Named]>;
  readonly #delete: Database.Statement<Named>;
  readonly #inSync: Database.Statement<[ShardId], number>;
  readonly #countByWorker: Database.Statement<[], { workerId: WorkerId; count: number }>;
  readonly #erasuresByWorker: Database.Statement<[], { workerId: WorkerId; count: number }>;
  readonly #page: Database.Statement<[PageQuery], PlacedRow>;
  readonly #addErasure: Database.Statement<[...Named, string, number]>;
  readonly #dropErasure: Database.Statement<Named>;
  readonly #erasures: Database.Statement<[], Omit<Erasure, 'place'> & { place: string }>;
  readonly #leastCompared: Database.Statement<[number, number], ShardId>;
  readonly #noteCompared: Database.Statement<[number, ShardId]>;
  readonly #askToCompare: Database.Statement<[ClientId | null, ClientId | null]>;
  readonly #countToCompare: Database.Statement<[], number>;
  readonly #transaction: <T>(work: () => T) => T;

  constructor(database: Database.Database, clock: Clock) {
    this.#clock = clock;
    this.#insert = database.prepare('INSERT INTO replicas VALUES (?, ?, ?, ?, ?)');
    this.#setState = database.prepare(
      `UPDATE replicas SET state = ?, synced_version = ?, since = ?
        WHERE shard_id = ? AND worker_id = ?`,
    );
    this.#setSynced = database.prepare(
      'UPDATE replicas SET synced_version = ? WHERE shard_id = ? AND worker_id = ?',
    );
    this.#delete = database.prepare('DELETE FROM replicas WHERE shard_id = ? AND worker_id = ?');
    this.#inSync = database
      .prepare<[ShardId], number>(
        `SELECT count(*) FROM replicas WHERE shard_id = ? AND state = 'in_sync'`,
      )
      .pluck();
    this.#countByWorker = database.prepare(
      'SELECT worker_id AS workerId, count(*) AS count FROM replicas GROUP BY worker_id',
    );
    this.#erasuresByWorker = database.prepare(
      'SELECT worker_id AS workerId, count(*) AS count FROM erasures GROUP BY worker_id',
    );
    this.#page = database.prepare(PAGE);
    this.#addErasure = database.prepare('INSERT OR REPLACE INTO erasures VALUES (?, ?, ?, ?)');
    this.#dropErasure = database.prepare(
      'DELETE FROM erasures WHERE shard_id = ? AND worker_id = ?',
    );
    this.#erasures = database.prepare(
      `SELECT shard_id AS shardId, worker_id AS workerId, place, not_before AS notBefore
        FROM erasures`,
    );
    this.#leastCompared = database
      .prepare<[number, number], ShardId>(
        `SELECT shard_id FROM shards WHERE compared_at <= ? AND ${HAS_SEVERAL}
          ORDER BY compared_at LIMIT ?`,
      )
      .pluck();
    this.#askToCompare = database.prepare(
      `UPDATE shards SET compared_at = ${ASKED} WHERE ${HAS_SEVERAL} AND (? IS NULL
         OR collection_id IN (SELECT collection_id FROM collections WHERE client_id = ?))`,
    );
    this.#countToCompare = database
      .prepare<[], number>(
        `SELECT count(*) FROM shards WHERE compared_at = ${ASKED} AND ${HAS_SEVERAL}`,
      )
      .pluck();
    this.#noteCompared = database.prepare('UPDATE shards SET compared_at = ? WHERE shard_id = ?');
    this.#transaction = (work) => guarded(() => database.transaction(work).immediate());
  }

  /** Replicas a worker; a worker without any is not in the map. */
  countByWorker(): Map<WorkerId, number> {
    return new Map(this.#countByWorker.all().map(({ workerId, count }) => [workerId, count]));
  }

  /** Shards that a worker has still to erase; a worker without any is not in the map. */
  erasuresByWorker(): Map<WorkerId, number> {
    return new Map(this.#erasuresByWorker.all().map(({ workerId, count }) => [workerId, count]));
  }

  /** Up to `limit` replicas after that one, by shard and worker. */
  page(
    { workerId, clientId, state }: ReplicaFilter,
    after: { shardId: ShardId; workerId: WorkerId },
    limit: number,
  ): PlacedReplica[] {
    const only = {
      onlyWorker: workerId ?? null,
      onlyClient: clientId ?? null,
      onlyState: state ?? null,
    };
    const rows = this.#page.all({ ...after, ...only, limit });
    return rows.map((row) => {
      return { ...row, deleting: row.deleting === 1, filling: row.filling === 1 };
    });
  }

  /** A new copy, which has nothing yet. */
  add(shardId: ShardId, workerId: WorkerId): void {
    guarded(() => this.#insert.run(shardId, workerId, 'behind', 0, this.#clock.now()));
  }

  /** Takes replicas out of those in sync; durable on return. One at least has to stay. */
  leave(shardId: ShardId, leaving: readonly Leaving[]): void {
    this.#transaction(() => {
      for (const { workerId, syncedVersion } of leaving) {
        this.#setState.run('behind', syncedVersion, this.#clock.now(), shardId, workerId);
      }
      assert((this.#inSync.get(shardId) ?? 0) > 0, 'a shard keeps a replica in sync');
    });
  }

  /** The replica has every acknowledged write, and will be sent each from now on. */
  join(shardId: ShardId, workerId: WorkerId): void {
    guarded(() => this.#setState.run('in_sync', 0, this.#clock.now(), shardId, workerId));
  }

  /** How far a replica has come that is behind. */
  progress(shardId: ShardId, workerId: WorkerId, syncedVersion: number): void {
    guarded(() => this.#setSynced.run(syncedVersion, shardId, workerId));
  }

  /** Takes a replica away; its files are among the `erasures` from then on. */
  remove({ shardId, workerId, place }: Omit<Erasure, 'notBefore'>): void {
    this.#transaction(() => {
      this.#delete.run(shardId, workerId);
      assert((this.#inSync.get(shardId) ?? 0) > 0, 'a shard keeps a replica in sync');
      this.#addErasure.run(shardId, workerId, JSON.stringify(place), 0);
    });
  }

  /** Shards with several replicas that were last compared at that time or before, the longest ago
   * first. */
  leastCompared(until: number, limit: number): ShardId[] {
    return this.#leastCompared.all(until, limit);
  }

  /** Has the shards of a client, or all, compared before others. How many there are. */
  askToCompare(clientId: ClientId | undefined): number {
    const which = clientId ?? null;
    return guarded(() => this.#askToCompare.run(which, which).changes);
  }

  /** Shards that are to be compared because somebody asked for it. */
  countToCompare(): number {
    return this.#countToCompare.get() ?? 0;
  }

  /** The replicas of the shard have been compared. */
  noteCompared(shardId: ShardId): void {
    guarded(() => this.#noteCompared.run(this.#clock.now(), shardId));
  }

  /** What is to be erased at workers, now or later. */
  erasures(): Erasure[] {
    return this.#erasures
      .all()
      .map((row) => ({ ...row, place: JSON.parse(row.place) as ShardPlace }));
  }

  /** The worker has erased it. */
  erased(shardId: ShardId, workerId: WorkerId): void {
    guarded(() => this.#dropErasure.run(shardId, workerId));
  }
}
