/**
 * The schema of `control.db`, as numbered steps. `PRAGMA user_version` holds the number of the
 * last step that was applied; a step never changes once it has been released. All steps run in one
 * transaction, so a crash leaves the old schema or the new one. A database from a later release is
 * refused: writing to it could break what we do not know of.
 *
 *   clients 1 --- n api_keys
 *      |
 *      +-- 1 --- n collections 1 --- n shards      workers (placement by id, no foreign key: a
 *      |                                           shard outlives the memory of its worker)
 *      +-- 1 --- n generations
 *
 * Times are milliseconds since 1970 (UTC). `collections_live` keeps a name unique among the
 * collections that are not being deleted; `generations` counts the collections that a client ever
 * had in a mode and namespace, so that a new collection of an old name never meets the old one's
 * files. (One counter a name would stay behind for each name that was ever used.)
 */
import type Database from 'better-sqlite3';
import { assert } from '../../shared/base/assert.ts';

const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE clients (
    client_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('active', 'paused', 'suspended')),
    epoch INTEGER NOT NULL CHECK (epoch >= 1),
    created_at INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE api_keys (
    key_id TEXT PRIMARY KEY,
    client_id TEXT NOT NULL REFERENCES clients (client_id),
    mode TEXT NOT NULL CHECK (mode IN ('live', 'test')),
    prefix TEXT NOT NULL CHECK (length(prefix) = 8),
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    UNIQUE (prefix, digest)
  ) STRICT;
  CREATE INDEX api_keys_client ON api_keys (client_id, key_id);

  CREATE TABLE collections (
    collection_id TEXT PRIMARY KEY,
    client_id TEXT NOT NULL REFERENCES clients (client_id),
    mode TEXT NOT NULL CHECK (mode IN ('live', 'test')),
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    generation INTEGER NOT NULL CHECK (generation >= 1),
    state TEXT NOT NULL CHECK (state IN ('creating', 'active', 'deleting')),
    config TEXT NOT NULL CHECK (json_valid(config)),
    payload_indexes TEXT NOT NULL CHECK (json_valid(payload_indexes)),
    config_pending INTEGER NOT NULL CHECK (config_pending IN (0, 1)),
    created_at INTEGER NOT NULL,
    UNIQUE (client_id, mode, namespace, generation)
  ) STRICT;
  CREATE UNIQUE INDEX collections_live ON collections (client_id, mode, namespace, name)
    WHERE state <> 'deleting';

  CREATE TABLE generations (
    client_id TEXT NOT NULL REFERENCES clients (client_id),
    mode TEXT NOT NULL,
    namespace TEXT NOT NULL,
    generation INTEGER NOT NULL CHECK (generation >= 1),
    PRIMARY KEY (client_id, mode, namespace)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE shards (
    shard_id TEXT PRIMARY KEY,
    collection_id TEXT NOT NULL REFERENCES collections (collection_id) ON DELETE CASCADE,
    ordinal INTEGER NOT NULL CHECK (ordinal >= 0),
    worker_id TEXT NOT NULL,
    UNIQUE (collection_id, ordinal)
  ) STRICT;
  CREATE INDEX shards_worker ON shards (worker_id);

  CREATE TABLE workers (
    worker_id TEXT PRIMARY KEY,
    first_seen_at INTEGER NOT NULL,
    last_seen_at INTEGER NOT NULL
  ) STRICT;
  `,
];

export const SCHEMA_VERSION = MIGRATIONS.length;

/** Brings the schema up to date. Takes the write lock even when there is nothing to do. */
export function migrate(database: Database.Database): void {
  const apply = database.transaction(() => {
    const version = database.pragma('user_version', { simple: true });
    assert(typeof version === 'number', 'user_version is a number');
    if (version > SCHEMA_VERSION) {
      throw new Error(
        `control.db has schema ${version}, this release knows ${SCHEMA_VERSION}: use a newer one`,
      );
    }
    for (const step of MIGRATIONS.slice(version)) database.exec(step);
    database.pragma(`user_version = ${SCHEMA_VERSION}`);
  });
  apply.immediate();
}
