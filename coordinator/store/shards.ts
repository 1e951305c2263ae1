/** Which worker holds which shard. Rows come and go with their collection. */
import type Database from 'better-sqlite3';
import type { CollectionId, ShardId, WorkerId } from '../../shared/base/ids.ts';

export interface ShardRecord {
  shardId: ShardId;
  collectionId: CollectionId;
  ordinal: number;
  workerId: WorkerId;
}

export class ShardsTable {
  readonly #byWorker: Database.Statement<[WorkerId], ShardRecord>;
  readonly #countByWorker: Database.Statement<[], { workerId: WorkerId; count: number }>;

  constructor(database: Database.Database) {
    this.#byWorker = database.prepare(
      `SELECT shard_id AS shardId, collection_id AS collectionId, ordinal, worker_id AS workerId
        FROM shards WHERE worker_id = ? ORDER BY shard_id`,
    );
    this.#countByWorker = database.prepare(
      'SELECT worker_id AS workerId, count(*) AS count FROM shards GROUP BY worker_id',
    );
  }

  /** The shards of one worker, those of collections that are being deleted too. */
  byWorker(workerId: WorkerId): ShardRecord[] {
    return this.#byWorker.all(workerId);
  }

  /** Shards a worker; a worker without any is not in the map. */
  countByWorker(): Map<WorkerId, number> {
    return new Map(this.#countByWorker.all().map(({ workerId, count }) => [workerId, count]));
  }
}
