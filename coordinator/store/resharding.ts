/**
 * Shards of a collection that are replaced by others:
 *
 *   shards      active ----------------------------- finish() --> gone, their files to be erased
 *   new ones    begin() -> filling -- note(), ... -- finish() --> active
 *                             |  ^
 *                             +--+ renew(): others, which have nothing yet
 *
 * The points of an active one are copied to all new ones together, and `shard_copies` says how far that
 * has come. An ordinal is given once in the life of a collection, so that the folder of a shard is
 * never that of an earlier one, which may not be erased yet.
 */
import type Database from 'better-sqlite3';
import { assert } from '../../shared/base/assert.ts';
import type { Clock } from '../../shared/base/clock.ts';
import type { CollectionId, ShardId, WorkerId } from '../../shared/base/ids.ts';
import type { ShardPlace } from '../../shared/domain/collection.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { ShardPlacement, ShardState } from './collections.ts';
import { guarded } from './sql-errors.ts';

/** How far the points of a shard have been copied. */
export interface CopyState {
  /** What is newer than this version has still to be copied. */
  since: number;
  /** Whether all that is older has been. */
  whole: boolean;
}

/** A shard and where its files are. */
export interface ShardFiles {
  shardId: ShardId;
  place: ShardPlace;
}

export class ReshardingTable {
  readonly #clock: Clock;
  readonly #takeOrdinals: Database.Statement<[number, CollectionId, number], number>;
  readonly #count: Database.Statement<[CollectionId, ShardState], number>;
  readonly #insertShard: Database.Statement<[ShardId, CollectionId, number, number]>;
  readonly #insertReplica: Database.Statement<[ShardId, WorkerId, number]>;
  readonly #addErasures: Database.Statement<[string, number, ShardId]>;
  readonly #deleteShard: Database.Statement<[ShardId, CollectionId, ShardState]>;
  readonly #forgetCopies: Database.Statement<[CollectionId]>;
  readonly #activate: Database.Statement<[CollectionId]>;
  readonly #setKeysKnownSince: Database.Statement<[number, CollectionId]>;
  readonly #note: Database.Statement<[ShardId, number, 0 | 1]>;
  readonly #copies: Database.Statement<
    [CollectionId],
    { shardId: ShardId; since: number; whole: 0 | 1 }
  >;
  readonly #transaction: <T>(work: () => T) => T;

  constructor(database: Database.Database, clock: Clock) {
    this.#clock = clock;
    this.#takeOrdinals = database
      .prepare<[number, CollectionId, number], number>(
        `UPDATE collections SET next_ordinal = next_ordinal + ?
          WHERE collection_id = ? AND state = 'active' RETURNING next_ordinal - ?`,
      )
      .pluck();
    this.#count = database
      .prepare<[CollectionId, ShardState], number>(
        'SELECT count(*) FROM shards WHERE collection_id = ? AND state = ?',
      )
      .pluck();
    this.#insertShard = database.prepare(
      `INSERT INTO shards (shard_id, collection_id, ordinal, compared_at, state)
        VALUES (?, ?, ?, ?, 'filling')`,
    );
    this.#insertReplica = database.prepare(`INSERT INTO replicas VALUES (?, ?, 'in_sync', 0, ?)`);
    this.#addErasures = database.prepare(
      `INSERT OR REPLACE INTO erasures
        SELECT shard_id, worker_id, ?, ? FROM replicas WHERE shard_id = ?`,
    );
    this.#deleteShard = database.prepare(
      'DELETE FROM shards WHERE shard_id = ? AND collection_id = ? AND state = ?',
    );
    this.#forgetCopies = database.prepare(
      `DELETE FROM shard_copies
        WHERE shard_id IN (SELECT shard_id FROM shards WHERE collection_id = ?)`,
    );
    this.#activate = database.prepare(
      `UPDATE shards SET state = 'active' WHERE collection_id = ? AND state = 'filling'`,
    );
    this.#setKeysKnownSince = database.prepare(
      'UPDATE collections SET keys_known_since = ? WHERE collection_id = ?',
    );
    this.#note = database.prepare('INSERT OR REPLACE INTO shard_copies VALUES (?, ?, ?)');
    this.#copies = database.prepare(
      `SELECT shard_id AS shardId, since, whole FROM shard_copies JOIN shards USING (shard_id)
        WHERE collection_id = ?`,
    );
    this.#transaction = (work) => guarded(() => database.transaction(work).immediate());
  }

  /**
   * Records new shards, and gives them their ordinals. Throws `conflict` while there are such already,
   * `collection_not_found` unless the collection is `active`.
   */
  begin(
    collectionId: CollectionId,
    shards: readonly Omit<ShardPlacement, 'ordinal'>[],
  ): ShardPlacement[] {
    return this.#transaction(() => {
      if (this.#count.get(collectionId, 'filling') !== 0) throw new AppError('conflict');
      return this.#insert(collectionId, shards);
    });
  }

  /** Other new shards instead of those, which are erased; nothing has been copied then. */
  renew(
    collectionId: CollectionId,
    dropped: readonly ShardFiles[],
    shards: readonly Omit<ShardPlacement, 'ordinal'>[],
  ): ShardPlacement[] {
    return this.#transaction(() => {
      this.#drop(collectionId, 'filling', dropped, 0);
      this.#forgetCopies.run(collectionId);
      return this.#insert(collectionId, shards);
    });
  }

  /**
   * The new shards are the collection's from now on. The others are erased from `eraseAt` on, in
   * milliseconds since 1970. `keysKnownSince` is that of `CollectionRecord`.
   */
  finish(
    collectionId: CollectionId,
    replaced: readonly ShardFiles[],
    { eraseAt, keysKnownSince }: { eraseAt: number; keysKnownSince: number },
  ): void {
    this.#transaction(() => {
      this.#setKeysKnownSince.run(keysKnownSince, collectionId);
      this.#drop(collectionId, 'active', replaced, eraseAt);
      const { changes } = this.#activate.run(collectionId);
      assert(changes > 0, 'there are shards to take their place');
    });
  }

  /** How far the copy of a shard has come; durable on return. */
  note(shardId: ShardId, { since, whole }: CopyState): void {
    guarded(() => this.#note.run(shardId, since, whole ? 1 : 0));
  }

  /** By shard; one that is not there has not begun to be copied. */
  copies(collectionId: CollectionId): Map<ShardId, CopyState> {
    const rows = this.#copies.all(collectionId);
    return new Map(
      rows.map(({ shardId, since, whole }) => [shardId, { since, whole: whole === 1 }]),
    );
  }

  #insert(
    collectionId: CollectionId,
    shards: readonly Omit<ShardPlacement, 'ordinal'>[],
  ): ShardPlacement[] {
    const first = this.#takeOrdinals.get(shards.length, collectionId, shards.length);
    if (first === undefined) throw new AppError('collection_not_found');
    const now = this.#clock.now();
    return shards.map(({ shardId, replicas }, i) => {
      const ordinal = first + i;
      this.#insertShard.run(shardId, collectionId, ordinal, now);
      for (const { workerId } of replicas) this.#insertReplica.run(shardId, workerId, now);
      return { shardId, ordinal, replicas };
    });
  }

  /** All shards in that state, with their replicas, which are to be erased. */
  #drop(
    collectionId: CollectionId,
    state: ShardState,
    shards: readonly ShardFiles[],
    eraseAt: number,
  ): void {
    assert(this.#count.get(collectionId, state) === shards.length, 'these are all of them');
    for (const { shardId, place } of shards) {
      this.#addErasures.run(JSON.stringify(place), eraseAt, shardId);
      const { changes } = this.#deleteShard.run(shardId, collectionId, state);
      assert(changes === 1, 'the shard is one of them');
    }
  }
}
