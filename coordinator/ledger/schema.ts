/**
 * `ledger.db`: what clients have used. One SQLite database in the coordinator's data folder, which one
 * thread writes (`ledger-thread.ts`); nobody else opens it while the coordinator runs.
 *
 *   write_usage      client_id, mode, hour,      what acknowledged writes came to, exactly: the sums of
 *                    namespace, key_id,          what shards noted in the transactions of the writes
 *                    writes, written, deleted,
 *                    bytes
 *   request_usage    client_id, mode, hour,      what requests came to, up to a second before a
 *                    namespace, key_id,          process was killed
 *                    route, status, requests,
 *                    queries, units, bytes_in,
 *                    bytes_out
 *   storage_usage    client_id, mode, hour,      what a census found, for the day that begins with the hour:
 *                    namespace, collection,      bytes of vectors and payloads, as the quota counts them
 *                    points, bytes,
 *                    unknown_shards
 *   censuses         census, day, kind, ...      those that are archived (`census-table.ts`)
 *   census_shards    shard_id, at, version,      what each shard was last known to hold
 *                    points, bytes
 *   daily_usage      client_id, day,             what of these is billed, of live data: sums of the hourly
 *                    namespace, key_id,          rows of the day that begins with the hour, written with
 *                    queries, written            them (`billed-usage.ts`)
 *   metered_shards   shard_id, version, closed   up to which version each shard's notes are in
 *                                                `write_usage`; closed: no other will come
 *   audit_chains     chain, sequence, hash       the last entry of each chain (`audit-table.ts`)
 *   audit_pages      chain, first, last,         the entries of chains, those of one batch together; written
 *                    prev_hash, hash, written_at, at: milliseconds since 1970
 *                    entries
 *   audit_checkpoints chain, sequence, line      up to where each chain was pruned, signed (`audit-pruning.ts`)
 *   meta             key, value                  run, batch: the last batch that was written;
 *                                                changes: the last row of `control.db` in the chains;
 *                                                anchors_file: the newest (`anchor-files.ts`)
 *
 * Hours count from 1970 (UTC) and are those at which the coordinator sent a write: a clock that is set
 * back or forward moves what comes then, and no total. All amounts are integers below 2^53.
 *
 * A batch (`ledger.ts`) is one transaction, with its number: sent again because its answer was lost, it
 * changes nothing. Notes of a shard are taken with the version that they reach, in the same transaction, and
 * only from the version on that is there: taken again, they change nothing either.
 *
 * Durability as everywhere: WAL with `synchronous=FULL`, an exclusive lock, and a log that is folded into
 * the database before anything is appended to it that another process or a failed sync has left.
 */
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { assert } from '../../shared/base/assert.ts';
import { makeFolderDurably, syncFolder } from '../../shared/base/durable-folder.ts';

/** How long a start waits for the lock of a coordinator that is just going down. */
const LOCK_WAIT_MS = 500;
const WAL_PAGES = 4_000;

/** Entry n leads from `user_version` n to n + 1. Never edit one that was released. */
const MIGRATIONS: readonly string[] = [
  `CREATE TABLE write_usage (
     client_id TEXT NOT NULL,
     mode TEXT NOT NULL,
     hour INTEGER NOT NULL,
     namespace TEXT NOT NULL,
     key_id TEXT NOT NULL,
     writes INTEGER NOT NULL,
     written INTEGER NOT NULL,
     deleted INTEGER NOT NULL,
     bytes INTEGER NOT NULL,
     PRIMARY KEY (client_id, mode, hour, namespace, key_id)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE request_usage (
     client_id TEXT NOT NULL,
     mode TEXT NOT NULL,
     hour INTEGER NOT NULL,
     namespace TEXT NOT NULL,
     key_id TEXT NOT NULL,
     route TEXT NOT NULL,
     status INTEGER NOT NULL,
     requests INTEGER NOT NULL,
     queries INTEGER NOT NULL,
     units INTEGER NOT NULL,
     bytes_in INTEGER NOT NULL,
     bytes_out INTEGER NOT NULL,
     PRIMARY KEY (client_id, mode, hour, namespace, key_id, route, status)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE metered_shards (
     shard_id TEXT NOT NULL PRIMARY KEY,
     version INTEGER NOT NULL,
     closed INTEGER NOT NULL CHECK (closed IN (0, 1))
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
   INSERT INTO meta (key, value) VALUES ('run', ''), ('batch', 0);`,
  `CREATE TABLE audit_chains (
     chain TEXT NOT NULL PRIMARY KEY,
     sequence INTEGER NOT NULL,
     hash TEXT NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE audit_pages (
     page INTEGER PRIMARY KEY,
     chain TEXT NOT NULL,
     first INTEGER NOT NULL,
     last INTEGER NOT NULL,
     prev_hash TEXT NOT NULL,
     hash TEXT NOT NULL,
     entries TEXT NOT NULL,
     UNIQUE (chain, last),
     UNIQUE (chain, prev_hash)
   ) STRICT;
   INSERT INTO meta (key, value) VALUES ('changes', 0);`,
  `CREATE TABLE storage_usage (
     client_id TEXT NOT NULL,
     mode TEXT NOT NULL,
     hour INTEGER NOT NULL CHECK (hour % 24 = 0),
     namespace TEXT NOT NULL,
     collection TEXT NOT NULL,
     points INTEGER NOT NULL,
     bytes INTEGER NOT NULL,
     PRIMARY KEY (client_id, mode, hour, namespace, collection)
   ) STRICT, WITHOUT ROWID;`,
  `ALTER TABLE storage_usage ADD COLUMN unknown_shards INTEGER NOT NULL DEFAULT 0;
   CREATE TABLE censuses (
     census TEXT NOT NULL PRIMARY KEY,
     day TEXT NOT NULL,
     kind TEXT NOT NULL CHECK (kind IN ('scheduled', 'on_demand')),
     state TEXT NOT NULL CHECK (state IN ('complete', 'incomplete')),
     started_at INTEGER NOT NULL,
     finished_at INTEGER NOT NULL,
     file TEXT NOT NULL,
     sha256 TEXT NOT NULL,
     clients INTEGER NOT NULL,
     collections INTEGER NOT NULL,
     shards INTEGER NOT NULL,
     unknown_shards INTEGER NOT NULL,
     points INTEGER NOT NULL,
     bytes INTEGER NOT NULL,
     memory_bytes INTEGER NOT NULL,
     disk_bytes INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE census_shards (
     shard_id TEXT NOT NULL PRIMARY KEY,
     at INTEGER NOT NULL,
     version INTEGER NOT NULL,
     points INTEGER NOT NULL,
     bytes INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;`,
  // When a page was written stands before its entries, so that looking for old ones reads none of them. Of pages
  // that are there already it is the time of their first entry: a page is those of a second.
  `CREATE TABLE new_audit_pages (
     page INTEGER PRIMARY KEY,
     chain TEXT NOT NULL,
     first INTEGER NOT NULL,
     last INTEGER NOT NULL,
     prev_hash TEXT NOT NULL,
     hash TEXT NOT NULL,
     written_at INTEGER NOT NULL,
     entries TEXT NOT NULL,
     UNIQUE (chain, last),
     UNIQUE (chain, prev_hash)
   ) STRICT;
   INSERT INTO new_audit_pages
     SELECT page, chain, first, last, prev_hash, hash, coalesce(1000 * unixepoch(json_extract(
       substr(entries, 1, instr(entries || char(10), char(10)) - 1), '$.at')), 0), entries
     FROM audit_pages;
   DROP TABLE audit_pages;
   ALTER TABLE new_audit_pages RENAME TO audit_pages;
   CREATE TABLE audit_checkpoints (
     chain TEXT NOT NULL PRIMARY KEY,
     sequence INTEGER NOT NULL,
     line TEXT NOT NULL CHECK (json_valid(line))
   ) STRICT, WITHOUT ROWID;
   INSERT INTO meta (key, value) VALUES ('anchors_file', 0);`,
  `CREATE TABLE daily_usage (
     client_id TEXT NOT NULL,
     day INTEGER NOT NULL CHECK (day % 24 = 0),
     namespace TEXT NOT NULL,
     key_id TEXT NOT NULL,
     queries INTEGER NOT NULL,
     written INTEGER NOT NULL,
     PRIMARY KEY (client_id, day, namespace, key_id)
   ) STRICT, WITHOUT ROWID;
   INSERT INTO daily_usage
     SELECT client_id, hour - hour % 24 AS day, namespace, key_id, sum(queries), sum(written) FROM
       (SELECT client_id, hour, namespace, key_id, queries, 0 AS written
          FROM request_usage WHERE mode = 'live' AND queries > 0
        UNION ALL
        SELECT client_id, hour, namespace, key_id, 0, written
          FROM write_usage WHERE mode = 'live' AND written > 0)
      GROUP BY client_id, day, namespace, key_id;`,
];

/** Opens or makes the database, durable on return. Throws what SQLite throws, and an `Error` for the
 * operator when it is of a newer release. */
export function openLedger(file: string): Database.Database {
  makeFolderDurably(dirname(file));
  const db = new Database(file, { timeout: LOCK_WAIT_MS });
  try {
    db.pragma('locking_mode = EXCLUSIVE');
    db.pragma('journal_mode = WAL');
    db.pragma('synchronous = FULL');
    db.pragma('secure_delete = ON');
    db.pragma(`wal_autocheckpoint = ${WAL_PAGES}`);
    db.pragma('wal_checkpoint(TRUNCATE)');
    migrate(db);
    syncFolder(dirname(file));
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function migrate(db: Database.Database): void {
  const apply = db.transaction(() => {
    const version = db.pragma('user_version', { simple: true });
    assert(typeof version === 'number', 'user_version is a number');
    if (version > MIGRATIONS.length) {
      throw new Error(
        `ledger.db has schema ${version}, this release knows ${MIGRATIONS.length}: use a newer one`,
      );
    }
    for (const step of MIGRATIONS.slice(version)) db.exec(step);
    db.pragma(`user_version = ${MIGRATIONS.length}`);
  });
  apply.immediate();
}
