/**
 * `points.db`: the truth of one shard, one SQLite database in the shard's folder.
 *
 *   points       label INTEGER PRIMARY KEY   slot of the point; key of the index structures too
 *                id BLOB UNIQUE              `pointIdToKey`: 9 bytes (integer) or 17 (UUID)
 *                version INTEGER             version of the write that last changed the row
 *                payload_check INTEGER       checksums, see `row-check.ts`
 *                vector_check INTEGER
 *                payload BLOB or NULL        UTF-8 JSON text of one object, as it came
 *                vector BLOB                 `dimension` float32, little-endian
 *   tombstones   id, version                 deleted ids, for a replica that catches up; the oldest
 *                                            are pruned, and `tombstone_floor` in `meta` says up to
 *                                            which version they may be missing
 *   once         key, request, version, at   writes with a key that were done (`once-rows.ts`)
 *   metered      version, key, hour,         what writes came to that the ledger may lack
 *                written, deleted, bytes,    (`meter-rows.ts`)
 *                checksum
 *   undo         seq, version, id, label,    what writes that may be undone have changed, as it was
 *                old_version, checks,        (`undo-log.ts`)
 *                payload, vector, tombstone
 *   free_labels  label                       labels below `next_label` that no point has
 *   meta         key, value                  shard_id, dimension, last_version, next_label,
 *                                            point_count, payload_bytes, digest (`row-digest.ts`),
 *                                            tombstone_count, tombstone_floor, levellings,
 *                                            replay_floor, undo_floor, check (`meta-table.ts`)
 *
 * What a shard holds is counted in bytes of its points, `point_count` x 4 x `dimension` +
 * `payload_bytes`, not of its files: the same points are the same bytes on every machine and at
 * any time.
 *
 * An image of the index that has all writes up to a version is brought up to date by the rows that
 * are newer. But a levelling (`write-op.ts`) writes rows under versions that may be older than that
 * of an image. So those that did are counted (`levellings`), an image says how many it has, and what
 * those that it lacks wrote is newer than `replay_floor`.
 *
 * `payload` stands before `vector`: a row that is longer than its page continues on overflow pages,
 * and a read that wants only the payload then stops before the vector. The checksums stand before both.
 *
 * Durability. WAL with `synchronous=FULL` is set on every connection: the library's own default
 * under WAL is NORMAL, which does not sync at commit, and reading the pragma back does not show it
 * (a test counts the syncs). `secure_delete` zeroes what is deleted.
 *
 * A trap. POSIX locks belong to the process, and closing any descriptor of a file drops them all.
 * So nothing in this process may open `points.db` but SQLite; even its fsync after creation is
 * made by a checkpoint.
 *
 * Another trap. A sync that failed may have let go of what it was to write, and what another process
 * left in the log may be in the system's memory only after its sync failed. It can be read there, and
 * no later sync brings it to the disk: what is appended to such a log is lost with the first power cut,
 * for a log ends where it is damaged. So a log is emptied (`settleLog`) before anything is appended to
 * it that somebody else, or a connection with a failed sync, has left: folding copies it into the
 * database, with pages written anew and a sync that covers them.
 */
import { chmodSync } from 'node:fs';
import { endianness } from 'node:os';
import path from 'node:path';
import Database from 'better-sqlite3';
import { assert, must } from '../../shared/base/assert.ts';
import { makeFolderDurably, syncFolder } from '../../shared/base/durable-folder.ts';
import type { ShardId } from '../../shared/base/ids.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import { writeCheck } from './meta-table.ts';
import { payloadCheck, rowSeed, vectorCheck } from './row-check.ts';
import { movedDigest, rowDigest } from './row-digest.ts';

assert(endianness() === 'LE', 'vectors are stored as this machine holds them: little-endian');

export const POINTS_FILE = 'points.db';

export interface ShardMeta {
  shardId: ShardId;
  dimension: number;
}

const BUSY_TIMEOUT_MS = 5_000;
/** The log is copied into the database beyond this; a kill -9 then costs so much reading. */
const WAL_BYTES = 16 * 2 ** 20;
/** The system's page cache does the work; a handle only keeps what one group commit touches. */
const WRITE_CACHE_KIB = 4_096;
const READ_CACHE_KIB = 1_024;

/** Rows that a migration reads at once. */
const ROWS_PER_PAGE = 100;

/** Entry n leads from `user_version` n to n + 1, by statements or by a function that makes them. Never
 * edit an entry that was released. */
const MIGRATIONS: readonly (string | ((db: Database.Database) => void))[] = [
  `CREATE TABLE points (
     label INTEGER PRIMARY KEY,
     id BLOB NOT NULL UNIQUE,
     version INTEGER NOT NULL,
     payload BLOB,
     vector BLOB NOT NULL
   ) STRICT;
   CREATE INDEX points_by_version ON points (version);
   CREATE TABLE tombstones (
     id BLOB NOT NULL PRIMARY KEY,
     version INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX tombstones_by_version ON tombstones (version);
   CREATE TABLE free_labels (label INTEGER PRIMARY KEY) STRICT;
   CREATE TABLE meta (key TEXT NOT NULL PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;`,
  `INSERT INTO meta (key, value)
     SELECT 'payload_bytes', ifnull(sum(length(payload)), 0) FROM points;`,
  addDigest,
  `INSERT INTO meta (key, value) VALUES ('levellings', 0), ('replay_floor', 0);`,
  `CREATE TABLE once (
     key BLOB NOT NULL PRIMARY KEY,
     request BLOB NOT NULL,
     version INTEGER NOT NULL,
     at INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;
   CREATE INDEX once_by_version ON once (version, key);
   CREATE INDEX once_by_age ON once (at);`,
  `CREATE TABLE undo (
     seq INTEGER PRIMARY KEY,
     version INTEGER NOT NULL,
     id BLOB NOT NULL,
     label INTEGER NOT NULL,
     old_version INTEGER,
     payload_check INTEGER,
     vector_check INTEGER,
     payload BLOB,
     vector BLOB,
     tombstone INTEGER
   ) STRICT;
   CREATE INDEX undo_by_version ON undo (version);
   INSERT INTO meta (key, value)
     VALUES ('undo_floor', ifnull((SELECT value FROM meta WHERE key = 'last_version'), 0));`,
  addChecks,
  `CREATE TABLE metered (
     version INTEGER PRIMARY KEY,
     key TEXT NOT NULL,
     hour INTEGER NOT NULL,
     written INTEGER NOT NULL,
     deleted INTEGER NOT NULL,
     bytes INTEGER NOT NULL,
     checksum INTEGER NOT NULL
   ) STRICT;`,
];

/**
 * Makes `points.db` in `folder` (which is made too) and closes it again; durable on return.
 * Repeating it for the same shard changes nothing; a different shard's file is refused.
 */
export function createPointsDb(folder: string, meta: ShardMeta): void {
  makeFolderDurably(folder);
  const file = path.join(folder, POINTS_FILE);
  const db = new Database(file, { timeout: BUSY_TIMEOUT_MS });
  try {
    chmodSync(file, 0o600);
    // A row should fit its page; small vectors keep small shards small.
    if (version(db) === 0) db.pragma(`page_size = ${meta.dimension > 512 ? 8_192 : 4_096}`);
    configureForWrites(db);
    migrate(db, meta);
    const found = readMeta(db);
    if (found.shardId !== meta.shardId || found.dimension !== meta.dimension) {
      throw new AppError('internal', undefined, { detail: `${folder} holds another shard` });
    }
    db.pragma('wal_checkpoint(TRUNCATE)');
  } finally {
    db.close();
  }
  syncFolder(folder);
}

/** A connection for the shard's one writer. */
export function openForWrites(folder: string): Database.Database {
  const db = new Database(path.join(folder, POINTS_FILE), {
    fileMustExist: true,
    timeout: BUSY_TIMEOUT_MS,
  });
  try {
    configureForWrites(db);
    migrate(db);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/**
 * Folds the log into the database and empties it; when it returns, what the database says is on the
 * disk. Throws when that can not be done.
 */
export function settleLog(db: Database.Database): void {
  const [outcome] = db.pragma('wal_checkpoint(TRUNCATE)') as { busy: number }[];
  if (outcome?.busy === 0) return;
  throw new AppError('unavailable', undefined, { detail: `the log of ${db.name} is in use` });
}

/** A connection that can not write. */
export function openForReads(folder: string): Database.Database {
  const file = path.join(folder, POINTS_FILE);
  const options = { fileMustExist: true, timeout: BUSY_TIMEOUT_MS };
  const db = new Database(file, { ...options, readonly: true });
  try {
    db.pragma('synchronous = FULL');
    db.pragma(`cache_size = -${READ_CACHE_KIB}`);
    db.pragma('temp_store = MEMORY');
    if (version(db) !== MIGRATIONS.length) openForWrites(folder).close();
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

/** The statements that made what is in the database. */
export function schemaOf(db: Database.Database): string {
  const sql = 'SELECT name, tbl_name, sql FROM sqlite_schema ORDER BY name';
  return JSON.stringify(db.prepare(sql).raw().all());
}

let expected: string | undefined;

/** `schemaOf` a database that is made now: each release has one. */
export function expectedSchema(): string {
  if (expected !== undefined) return expected;
  const db = new Database(':memory:');
  migrate(db, { shardId: '' as ShardId, dimension: 1 });
  expected = schemaOf(db);
  db.close();
  return expected;
}

export function readMeta(db: Database.Database): ShardMeta {
  const select = db.prepare<[string], unknown>('SELECT value FROM meta WHERE key = ?').pluck();
  const shardId = select.get('shard_id');
  const dimension = select.get('dimension');
  assert(typeof shardId === 'string' && typeof dimension === 'number', 'points.db names its shard');
  return { shardId: shardId as ShardId, dimension };
}

function configureForWrites(db: Database.Database): void {
  const mode = db.pragma('journal_mode = WAL', { simple: true });
  assert(mode === 'wal', 'points.db has a write-ahead log');
  const pageBytes = Number(db.pragma('page_size', { simple: true }));
  db.pragma('synchronous = FULL');
  db.pragma('secure_delete = ON');
  db.pragma('temp_store = MEMORY');
  db.pragma(`cache_size = -${WRITE_CACHE_KIB}`);
  db.pragma(`wal_autocheckpoint = ${Math.round(WAL_BYTES / pageBytes)}`);
  db.pragma(`journal_size_limit = ${WAL_BYTES}`);
}

function version(db: Database.Database): number {
  return Number(db.pragma('user_version', { simple: true }));
}

/** Brings the schema up to date in one transaction. `meta` is for a file that is being made. */
function migrate(db: Database.Database, meta?: ShardMeta): void {
  if (version(db) === MIGRATIONS.length) return;
  db.exec('BEGIN IMMEDIATE');
  try {
    const from = version(db);
    if (from > MIGRATIONS.length || (from === 0 && meta === undefined)) {
      throw new AppError('unavailable', undefined, { detail: `${db.name} has schema ${from}` });
    }
    for (const step of MIGRATIONS.slice(from)) {
      if (typeof step === 'string') db.exec(step);
      else step(db);
    }
    if (from === 0 && meta !== undefined) writeMeta(db, meta);
    writeCheck(db);
    db.pragma(`user_version = ${MIGRATIONS.length}`);
    db.exec('COMMIT');
  } catch (error) {
    if (db.inTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

/** Counts the digest of the rows that are there. */
function addDigest(db: Database.Database): void {
  let digest = 0;
  const rows = db.prepare<[], [Buffer, number]>('SELECT id, version FROM points').raw();
  for (const [key, rowVersion] of rows.iterate()) {
    digest = movedDigest(digest, 0, rowDigest(key, rowVersion));
  }
  db.prepare("INSERT INTO meta (key, value) VALUES ('digest', ?)").run(BigInt(digest));
}

/** Makes the table of points anew, with checks of the rows that are there. */
function addChecks(db: Database.Database): void {
  db.exec(`CREATE TABLE points_with_checks (
     label INTEGER PRIMARY KEY,
     id BLOB NOT NULL UNIQUE,
     version INTEGER NOT NULL,
     payload_check INTEGER NOT NULL,
     vector_check INTEGER NOT NULL,
     payload BLOB,
     vector BLOB NOT NULL
   ) STRICT;`);
  type Row = [number, Buffer, number, Buffer | null, Buffer];
  const page = db
    .prepare<[number], Row>(
      `SELECT label, id, version, payload, vector FROM points WHERE label > ?
         ORDER BY label LIMIT ${ROWS_PER_PAGE}`,
    )
    .raw();
  const insert = db.prepare('INSERT INTO points_with_checks VALUES (?, ?, ?, ?, ?, ?, ?)');
  let rows = page.all(-1);
  while (rows.length > 0) {
    for (const [label, id, rowVersion, payload, vector] of rows) {
      const seed = rowSeed(id, label);
      const checks = [payloadCheck(seed, rowVersion, payload), vectorCheck(seed, vector)];
      insert.run(label, id, rowVersion, ...checks, payload, vector);
    }
    rows = page.all(must(rows.at(-1), 'it is not empty')[0]);
  }
  db.exec(`DROP TABLE points;
    ALTER TABLE points_with_checks RENAME TO points;
    CREATE INDEX points_by_version ON points (version);`);
}

/** But for what migrations count. */
function writeMeta(db: Database.Database, { shardId, dimension }: ShardMeta): void {
  const insert = db.prepare('INSERT INTO meta (key, value) VALUES (?, ?)');
  insert.run('shard_id', shardId);
  insert.run('dimension', BigInt(dimension));
  for (const counter of [
    'last_version',
    'next_label',
    'point_count',
    'tombstone_count',
    'tombstone_floor',
  ]) {
    insert.run(counter, 0n);
  }
}
