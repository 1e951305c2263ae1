/**
 * Censuses in `ledger.db`, and what they found for bills.
 *
 *   archive (a file, the truth) --> census-rows: 500 collections, 500 ... --> census: the record, the last
 *
 * Rows of a day are keyed by it, so a census that was half entered when the process died is entered once more,
 * from its archive, and comes to the same. A day of which there is no record may have a part of its rows.
 * Only those of days count in `storage_usage`; what shards were last known to hold is learnt from all.
 */
import type Database from 'better-sqlite3';
import type {
  CensusRecord,
  CensusRowsEntry,
  KnownShard,
  LedgerQuestions,
  Period,
  StorageRow,
  StorageUsage,
} from './entries.ts';
import { byPeriod, IN_NAMESPACES, type UsageBound, WITHIN } from './usage-span.ts';

const RECORD = `census, day, kind, state, started_at AS startedAt, finished_at AS finishedAt, file,
  sha256, clients, collections, shards, unknown_shards AS unknownShards, points, bytes,
  memory_bytes AS memoryBytes, disk_bytes AS diskBytes`;

const HOURS_PER_DAY = 24n;

/** Numbers as SQLite has them. */
interface UsageRow extends Pick<StorageUsage, 'namespace'> {
  start: bigint;
  points: bigint;
  bytes: bigint;
  byteDays: bigint;
}

type StorageQuestion = LedgerQuestions['census-storage']['about'];

export class CensusTable {
  readonly #sql: ReturnType<typeof prepareStatements>;
  /** By period: what was stored. */
  readonly usage: Record<Period, { all(bound: UsageBound): StorageUsage[] }>;

  constructor(db: Database.Database) {
    this.#sql = prepareStatements(db);
    this.usage = byPeriod((start) => {
      const select = usageStatement(db, start);
      return { all: (bound) => select.all(bound).map(fromRow) };
    });
  }

  addRows({ census, hour, storage, shards }: CensusRowsEntry): void {
    if (this.get(census) !== undefined) return;
    if (hour !== null) for (const row of storage) this.#sql.putStorage.run({ ...row, hour });
    for (const shard of shards) this.#sql.putShard.run(shard);
  }

  add(record: CensusRecord): void {
    this.#sql.add.run(record);
  }

  /** The shard is gone. */
  forget(shardId: string): void {
    this.#sql.forget.run(shardId);
  }

  get(census: string): CensusRecord | undefined {
    return this.#sql.get.get(census);
  }

  last(): CensusRecord | undefined {
    return this.#sql.last.get();
  }

  list({ before, limit }: { before: string | null; limit: number }): CensusRecord[] {
    return this.#sql.list.all(before, before, limit);
  }

  lastKnown(shardIds: readonly string[]): KnownShard[] {
    return shardIds.flatMap((shardId) => this.#sql.shard.get(shardId) ?? []);
  }

  storageOf({ namespaces, ...about }: StorageQuestion): StorageRow[] {
    const bound = { ...about, namespaces: namespaces && JSON.stringify(namespaces) };
    return this.#sql.storage.all(bound);
  }
}

function fromRow({ start, namespace, points, bytes, byteDays }: UsageRow): StorageUsage {
  const numbers = { start: Number(start), points: Number(points), bytes: Number(bytes) };
  return { ...numbers, namespace, byteHours: HOURS_PER_DAY * byteDays };
}

function usageStatement(db: Database.Database, start: string) {
  return db
    .prepare<[UsageBound], UsageRow>(
      `SELECT ${start} AS start, namespace, max(points) AS points, max(bytes) AS bytes,
              sum(bytes) AS byteDays
         FROM (SELECT hour, namespace, sum(points) AS points, sum(bytes) AS bytes
                 FROM storage_usage WHERE ${WITHIN} GROUP BY hour, namespace)
        GROUP BY start, namespace ORDER BY start, namespace LIMIT @limit`,
    )
    .safeIntegers();
}

function prepareStatements(db: Database.Database) {
  return {
    putStorage: db.prepare<[StorageRow & { hour: number }]>(
      `INSERT OR REPLACE INTO storage_usage
         (client_id, mode, hour, namespace, collection, points, bytes, unknown_shards)
         VALUES (@clientId, @mode, @hour, @namespace, @collection, @points, @bytes, @unknownShards)`,
    ),
    putShard: db.prepare<[KnownShard]>(
      `INSERT INTO census_shards (shard_id, at, version, points, bytes)
         VALUES (@shardId, @at, @version, @points, @bytes)
       ON CONFLICT DO UPDATE SET at = excluded.at, version = excluded.version,
         points = excluded.points, bytes = excluded.bytes
       WHERE excluded.version > version OR (excluded.version = version AND excluded.at >= at)`,
    ),
    forget: db.prepare<[string]>('DELETE FROM census_shards WHERE shard_id = ?'),
    shard: db.prepare<[string], KnownShard>(
      `SELECT shard_id AS shardId, at, version, points, bytes FROM census_shards WHERE shard_id = ?`,
    ),
    add: db.prepare<[CensusRecord]>(
      `INSERT OR IGNORE INTO censuses VALUES (@census, @day, @kind, @state, @startedAt, @finishedAt,
         @file, @sha256, @clients, @collections, @shards, @unknownShards, @points, @bytes,
         @memoryBytes, @diskBytes)`,
    ),
    get: db.prepare<[string], CensusRecord>(`SELECT ${RECORD} FROM censuses WHERE census = ?`),
    last: db.prepare<[], CensusRecord>(
      `SELECT ${RECORD} FROM censuses WHERE kind = 'scheduled' ORDER BY census DESC LIMIT 1`,
    ),
    list: db.prepare<[string | null, string | null, number], CensusRecord>(
      `SELECT ${RECORD} FROM censuses WHERE ? IS NULL OR census < ? ORDER BY census DESC LIMIT ?`,
    ),
    storage: db.prepare<
      [Omit<StorageQuestion, 'namespaces'> & { namespaces: string | null }],
      StorageRow
    >(
      `SELECT client_id AS clientId, mode, namespace, collection, points, bytes,
              unknown_shards AS unknownShards
         FROM storage_usage
        WHERE client_id = @clientId AND mode = @mode AND hour = @hour AND ${IN_NAMESPACES}
        ORDER BY namespace, collection LIMIT @limit`,
    ),
  };
}
