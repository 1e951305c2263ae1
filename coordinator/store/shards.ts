/** Which worker holds which shard. Rows come and go with their collection. */
import type Database from 'better-sqlite3';
import type { WorkerId } from '../../shared/base/ids.ts';

export class ShardsTable {
  readonly #countByWorker: Database.Statement<[], { workerId: WorkerId; count: number }>;

  constructor(database: Database.Database) {
    this.#countByWorker = database.prepare(
      'SELECT worker_id AS workerId, count(*) AS count FROM shards GROUP BY worker_id',
    );
  }

  /** Shards a worker; a worker without any is not in the map. */
  countByWorker(): Map<WorkerId, number> {
    return new Map(this.#countByWorker.all().map(({ workerId, count }) => [workerId, count]));
  }
}
