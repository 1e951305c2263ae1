/**
 * The schema of `control.db`, as numbered steps. `PRAGMA user_version` holds the number of the
 * last step that was applied; a step never changes once it has been released. All steps run in one
 * transaction, so a crash leaves the old schema or the new one. A database from a later release is
 * refused: writing to it could break what we do not know of.
 *
 *   plans 1 --- n clients 1 --- n api_keys 1 --- 1..2 api_key_secrets
 *                    |
 *      +-------------+                             admin_audit (what operators changed; by target
 *      |                                           id, no foreign key: it outlives its targets)
 *      |                                           idempotent_replies (answers to creations)
 *      |                                           write_keys (requests that wrote under a key)
 *      |
 *      +-- 1 --- n collections 1 --- n shards 1 --- n replicas     workers (by id, no foreign key: a
 *      |                                                           replica outlives the memory of
 *      +-- 1 --- n generations                     erasures        its worker)
 *
 *   clients 1 --- n notices 1 --- n notice_deliveries      (those of the operators are of no client)
 *           1 --- n webhooks     1 --- n mail_recipients
 *
 *   shards 1 --- 0..1 shard_copies (how far the points of one are in those that are to replace it)
 *
 *   clients 1 --- 0..1 budgets 1 --- n budget_levels (levels of a budget that were told of)
 *
 *   billing_accounts, client_plans, plan_prices: what clients pay, of all time (`price-history.ts`);
 *   anomalies, anomaly_progress: hours that were far from usual (`anomalies.ts`);
 *   invoices: what is final of it, never changed (`invoices.ts`); no foreign keys, because bills
 *   outlive clients and plans
 *
 * Times are milliseconds since 1970 (UTC). A key has one secret without an end and at most one with
 * an end, which a rotation left. `collections_live` keeps a name unique among the
 * collections that are not being deleted; `generations` counts the collections that a client ever
 * had in a mode and namespace, so that a new collection of an old name never meets the old one's
 * files. (One counter a name would stay behind for each name that was ever used.) For the same reason
 * `next_ordinal` counts the shards that a collection ever had.
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
  `
  CREATE TABLE plans (
    plan_id TEXT PRIMARY KEY,
    limits TEXT NOT NULL CHECK (json_valid(limits)),
    prices TEXT NOT NULL CHECK (json_valid(prices)),
    version INTEGER NOT NULL CHECK (version >= 1),
    updated_at INTEGER NOT NULL
  ) STRICT;
  INSERT INTO plans VALUES
    ('free',
      '{"requests_per_second":10,"burst":20,"in_flight":16,"points":100000,"bytes":1073741824,
        "collections":5,"namespaces":1,"dimensions":4096,"replicas":1,"keys":10,
        "audit_retention_days":30,"idle_days_before_pause":30}',
      '{"month":0,"million_queries":0,"million_points_written":0,"gib_month":0}',
      1, unixepoch() * 1000),
    ('standard',
      '{"requests_per_second":60,"burst":120,"in_flight":256,"points":10000000,
        "bytes":107374182400,"collections":1000,"namespaces":100,"dimensions":8192,"replicas":2,
        "keys":1000,"audit_retention_days":365,"idle_days_before_pause":0}',
      '{"month":25000000,"million_queries":2000000,"million_points_written":1000000,
        "gib_month":300000}',
      1, unixepoch() * 1000),
    ('dedicated',
      '{"requests_per_second":100000,"burst":200000,"in_flight":1024,"points":1000000000,
        "bytes":10995116277760,"collections":10000,"namespaces":1000,"dimensions":8192,
        "replicas":3,"keys":10000,"audit_retention_days":2555,"idle_days_before_pause":0}',
      '{"month":500000000,"million_queries":0,"million_points_written":0,"gib_month":0}',
      1, unixepoch() * 1000);

  UPDATE api_keys SET role = 'admin' WHERE role = 'full';

  CREATE TABLE clients_with_plans (
    client_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('active', 'paused', 'suspended', 'deleting')),
    state_reason TEXT,
    plan_id TEXT NOT NULL REFERENCES plans (plan_id),
    overrides TEXT NOT NULL CHECK (json_valid(overrides)),
    epoch INTEGER NOT NULL CHECK (epoch >= 1),
    version INTEGER NOT NULL CHECK (version >= 1),
    created_at INTEGER NOT NULL,
    erase_at INTEGER,
    CHECK ((state = 'deleting') = (erase_at IS NOT NULL))
  ) STRICT;
  INSERT INTO clients_with_plans
    SELECT client_id, name, state, NULL, 'standard', '{}', epoch, 1, created_at, NULL FROM clients;
  DROP TABLE clients;
  ALTER TABLE clients_with_plans RENAME TO clients;
  CREATE INDEX clients_plan ON clients (plan_id);

  CREATE TABLE admin_audit (
    sequence INTEGER PRIMARY KEY,
    at INTEGER NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    before TEXT CHECK (json_valid(before)),
    after TEXT CHECK (json_valid(after)),
    request_id TEXT NOT NULL
  ) STRICT;
  CREATE INDEX admin_audit_target ON admin_audit (target, sequence);
  `,
  `
  CREATE TABLE api_keys_with_secrets (
    key_id TEXT PRIMARY KEY,
    client_id TEXT NOT NULL REFERENCES clients (client_id),
    mode TEXT NOT NULL CHECK (mode IN ('live', 'test')),
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    namespaces TEXT CHECK (json_valid(namespaces)),
    requests_per_second INTEGER CHECK (requests_per_second >= 1),
    version INTEGER NOT NULL CHECK (version >= 1),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    revoked_at INTEGER,
    last_used_at INTEGER
  ) STRICT;
  INSERT INTO api_keys_with_secrets
    SELECT key_id, client_id, mode, name, role, '["default"]', NULL, 1, created_at, expires_at,
      revoked_at, NULL FROM api_keys;
  CREATE TABLE api_key_secrets (
    key_id TEXT NOT NULL REFERENCES api_keys_with_secrets (key_id) ON DELETE CASCADE,
    prefix TEXT NOT NULL CHECK (length(prefix) = 8),
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    created_at INTEGER NOT NULL,
    ends_at INTEGER,
    UNIQUE (prefix, digest)
  ) STRICT;
  INSERT INTO api_key_secrets
    SELECT key_id, prefix, digest, created_at, NULL FROM api_keys;
  DROP TABLE api_keys;
  ALTER TABLE api_keys_with_secrets RENAME TO api_keys;
  CREATE INDEX api_keys_client ON api_keys (client_id, key_id);
  CREATE UNIQUE INDEX api_key_secrets_current ON api_key_secrets (key_id) WHERE ends_at IS NULL;
  CREATE UNIQUE INDEX api_key_secrets_old ON api_key_secrets (key_id) WHERE ends_at IS NOT NULL;

  UPDATE plans SET limits = json_insert(limits, '$.cost_per_second',
    CASE plan_id WHEN 'free' THEN 200 WHEN 'dedicated' THEN 1000000 ELSE 2000 END);

  CREATE TABLE idempotent_replies (
    idempotency_key BLOB PRIMARY KEY CHECK (length(idempotency_key) = 32),
    request BLOB NOT NULL CHECK (length(request) = 32),
    sealed BLOB NOT NULL,
    created_at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX idempotent_replies_age ON idempotent_replies (created_at);
  `,
  `
  CREATE TABLE replicas (
    shard_id TEXT NOT NULL REFERENCES shards (shard_id) ON DELETE CASCADE,
    worker_id TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('in_sync', 'behind')),
    synced_version INTEGER NOT NULL CHECK (synced_version >= 0),
    since INTEGER NOT NULL,
    PRIMARY KEY (shard_id, worker_id)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO replicas
    SELECT shard_id, worker_id, 'in_sync', 0, unixepoch() * 1000 FROM shards;
  CREATE INDEX replicas_worker ON replicas (worker_id);
  DROP INDEX shards_worker;
  ALTER TABLE shards DROP COLUMN worker_id;
  ALTER TABLE shards ADD COLUMN compared_at INTEGER NOT NULL DEFAULT 0;
  CREATE INDEX shards_compared ON shards (compared_at);
  ALTER TABLE shards ADD COLUMN state TEXT NOT NULL DEFAULT 'active'
    CHECK (state IN ('active', 'filling'));
  CREATE INDEX shards_filling ON shards (collection_id) WHERE state = 'filling';

  CREATE TABLE shard_copies (
    shard_id TEXT PRIMARY KEY REFERENCES shards (shard_id) ON DELETE CASCADE,
    since INTEGER NOT NULL CHECK (since >= 0),
    whole INTEGER NOT NULL CHECK (whole IN (0, 1))
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE erasures (
    shard_id TEXT NOT NULL,
    worker_id TEXT NOT NULL,
    place TEXT NOT NULL CHECK (json_valid(place)),
    not_before INTEGER NOT NULL,
    PRIMARY KEY (shard_id, worker_id)
  ) STRICT, WITHOUT ROWID;

  ALTER TABLE workers ADD COLUMN zone TEXT;
  ALTER TABLE workers ADD COLUMN dedicated_to TEXT REFERENCES clients (client_id);
  ALTER TABLE workers ADD COLUMN draining INTEGER NOT NULL DEFAULT 0 CHECK (draining IN (0, 1));
  ALTER TABLE workers ADD COLUMN version INTEGER NOT NULL DEFAULT 1 CHECK (version >= 1);

  ALTER TABLE collections ADD COLUMN replication_factor INTEGER NOT NULL DEFAULT 1
    CHECK (replication_factor >= 1);
  ALTER TABLE collections ADD COLUMN write_consistency_factor INTEGER NOT NULL DEFAULT 1
    CHECK (write_consistency_factor >= 1);
  ALTER TABLE collections ADD COLUMN next_ordinal INTEGER NOT NULL DEFAULT 1
    CHECK (next_ordinal >= 1);
  UPDATE collections SET next_ordinal = (
    SELECT max(ordinal) + 1 FROM shards WHERE shards.collection_id = collections.collection_id
  ) WHERE collection_id IN (SELECT collection_id FROM shards);
  `,
  `
  CREATE TABLE write_keys (
    key BLOB PRIMARY KEY CHECK (length(key) = 16),
    request BLOB NOT NULL CHECK (length(request) = 16),
    at INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX write_keys_age ON write_keys (at);
  ALTER TABLE collections ADD COLUMN keys_known_since INTEGER NOT NULL DEFAULT 0;
  `,
  `
  CREATE TABLE collection_uses (
    collection_id TEXT PRIMARY KEY REFERENCES collections (collection_id) ON DELETE CASCADE,
    used_at INTEGER NOT NULL,
    pause TEXT CHECK (pause IN ('idle', 'manual')),
    reason TEXT,
    paused_at INTEGER,
    CHECK ((pause IS NULL) = (paused_at IS NULL))
  ) STRICT, WITHOUT ROWID;
  ALTER TABLE clients ADD COLUMN pause TEXT CHECK (pause IN ('budget', 'manual'));
  ALTER TABLE clients ADD COLUMN pause_scope TEXT CHECK (pause_scope IN ('writes', 'all'));
  `,
  `
  CREATE TABLE census_requests (
    day TEXT NOT NULL,
    number INTEGER NOT NULL CHECK (number >= 1),
    at INTEGER NOT NULL,
    done INTEGER NOT NULL DEFAULT 0 CHECK (done IN (0, 1)),
    PRIMARY KEY (day, number)
  ) STRICT, WITHOUT ROWID;
  `,
  `
  UPDATE plans SET limits = json_set(limits, '$.audit_query_sample', 1);
  `,
  `
  CREATE TABLE notices (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    notice_id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    client_id TEXT REFERENCES clients (client_id) ON DELETE CASCADE,
    key TEXT NOT NULL,
    data TEXT NOT NULL CHECK (json_valid(data)),
    at INTEGER NOT NULL
  ) STRICT;
  CREATE UNIQUE INDEX notices_once ON notices (type, key, ifnull(client_id, ''));
  CREATE INDEX notices_client ON notices (client_id, sequence);
  CREATE INDEX notices_age ON notices (at);

  CREATE TABLE notice_deliveries (
    delivery_id INTEGER PRIMARY KEY AUTOINCREMENT,
    sequence INTEGER NOT NULL REFERENCES notices (sequence) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('mail', 'webhook')),
    owner TEXT NOT NULL,
    target TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN
      ('waiting', 'handing_over', 'delivered', 'bounced', 'unknown', 'dead', 'dropped')),
    attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    since INTEGER NOT NULL,
    next_at INTEGER NOT NULL,
    last_at INTEGER,
    code INTEGER,
    problem TEXT,
    message_id TEXT,
    sent_at INTEGER,
    UNIQUE (sequence, kind, target)
  ) STRICT;
  CREATE INDEX notice_deliveries_waiting ON notice_deliveries (kind, target, next_at)
    WHERE state = 'waiting';
  CREATE INDEX notice_deliveries_handing ON notice_deliveries (delivery_id)
    WHERE state = 'handing_over';
  CREATE INDEX notice_deliveries_target ON notice_deliveries (target, delivery_id);
  CREATE INDEX notice_deliveries_sent ON notice_deliveries (sent_at) WHERE sent_at IS NOT NULL;

  CREATE TABLE webhooks (
    webhook_id TEXT PRIMARY KEY,
    client_id TEXT REFERENCES clients (client_id) ON DELETE CASCADE,
    url TEXT NOT NULL,
    types TEXT CHECK (json_valid(types)),
    disabled TEXT CHECK (disabled IN ('owner', 'gone', 'failing')),
    secret BLOB NOT NULL,
    old_secret BLOB,
    old_ends_at INTEGER,
    failing_since INTEGER,
    version INTEGER NOT NULL CHECK (version >= 1),
    created_at INTEGER NOT NULL,
    CHECK ((old_secret IS NULL) = (old_ends_at IS NULL))
  ) STRICT;
  CREATE INDEX webhooks_client ON webhooks (client_id, webhook_id);

  CREATE TABLE mail_recipients (
    client_id TEXT NOT NULL REFERENCES clients (client_id) ON DELETE CASCADE,
    address TEXT NOT NULL,
    types TEXT CHECK (json_valid(types)),
    PRIMARY KEY (client_id, address)
  ) STRICT, WITHOUT ROWID;

  CREATE INDEX api_keys_expiry ON api_keys (expires_at)
    WHERE expires_at IS NOT NULL AND revoked_at IS NULL;
  `,
  `
  CREATE TABLE billing_accounts (
    client_id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    settled INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  INSERT INTO billing_accounts SELECT client_id, name,
    (strftime('%Y', 'now') - 1970) * 12 + strftime('%m', 'now') - 1 FROM clients;
  CREATE TABLE client_plans (
    client_id TEXT NOT NULL,
    from_hour INTEGER NOT NULL CHECK (from_hour >= 0),
    plan_id TEXT,
    PRIMARY KEY (client_id, from_hour)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO client_plans
    SELECT client_id, created_at / 3600000, iif(state = 'deleting', NULL, plan_id) FROM clients;
  CREATE TABLE plan_prices (
    plan_id TEXT NOT NULL,
    from_hour INTEGER NOT NULL CHECK (from_hour >= 0),
    prices TEXT NOT NULL CHECK (json_valid(prices)),
    PRIMARY KEY (plan_id, from_hour)
  ) STRICT, WITHOUT ROWID;
  INSERT INTO plan_prices SELECT plan_id, 0, prices FROM plans;

  CREATE TABLE invoices (
    year INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('invoice', 'credit_note')),
    client_id TEXT NOT NULL,
    client_name TEXT NOT NULL,
    month INTEGER NOT NULL,
    currency TEXT NOT NULL,
    lines TEXT NOT NULL CHECK (json_valid(lines)),
    total TEXT NOT NULL CHECK (total GLOB '[0-9]*' AND total NOT GLOB '*[^0-9]*'),
    credits_year INTEGER,
    credits_sequence INTEGER,
    reason TEXT,
    issued_at INTEGER NOT NULL,
    PRIMARY KEY (year, sequence),
    FOREIGN KEY (credits_year, credits_sequence) REFERENCES invoices (year, sequence),
    CHECK ((kind = 'credit_note') = (credits_year IS NOT NULL)),
    CHECK ((credits_year IS NULL) = (credits_sequence IS NULL)),
    CHECK ((kind = 'credit_note') = (reason IS NOT NULL))
  ) STRICT, WITHOUT ROWID;
  CREATE UNIQUE INDEX invoices_month ON invoices (client_id, month) WHERE kind = 'invoice';
  CREATE INDEX invoices_client ON invoices (client_id, year, sequence);
  CREATE INDEX invoices_credits ON invoices (credits_year, credits_sequence)
    WHERE kind = 'credit_note';
  CREATE TRIGGER invoices_keep BEFORE UPDATE ON invoices
    BEGIN SELECT RAISE (ABORT, 'an invoice that is final does not change'); END;
  CREATE TRIGGER invoices_stay BEFORE DELETE ON invoices
    BEGIN SELECT RAISE (ABORT, 'an invoice that is final is not removed'); END;
  CREATE TRIGGER invoices_in_order BEFORE INSERT ON invoices
    WHEN NEW.sequence <> (SELECT coalesce(max(sequence), 0) + 1 FROM invoices WHERE year = NEW.year)
    BEGIN SELECT RAISE (ABORT, 'numbers of invoices have no gaps'); END;

  CREATE TABLE budgets (
    client_id TEXT PRIMARY KEY REFERENCES clients (client_id),
    amount TEXT NOT NULL CHECK (amount GLOB '[1-9]*' AND amount NOT GLOB '*[^0-9]*'),
    levels TEXT NOT NULL CHECK (json_valid(levels)),
    at_limit TEXT NOT NULL CHECK (at_limit IN ('nothing', 'pause_writes', 'pause_all')),
    paused TEXT CHECK (paused IN ('writes', 'all')),
    version INTEGER NOT NULL CHECK (version >= 1)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE budget_levels (
    client_id TEXT NOT NULL REFERENCES budgets (client_id) ON DELETE CASCADE,
    month INTEGER NOT NULL,
    level INTEGER NOT NULL,
    PRIMARY KEY (client_id, month, level)
  ) STRICT, WITHOUT ROWID;

  CREATE TABLE anomalies (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    client_id TEXT NOT NULL,
    hour INTEGER NOT NULL,
    measure TEXT NOT NULL,
    value INTEGER NOT NULL,
    usual INTEGER NOT NULL,
    bound INTEGER NOT NULL,
    UNIQUE (client_id, hour, measure)
  ) STRICT;
  CREATE INDEX anomalies_hour ON anomalies (hour);
  CREATE TABLE anomaly_progress (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    hour INTEGER NOT NULL,
    after_client TEXT NOT NULL
  ) STRICT;
  `,
  `
  ALTER TABLE billing_accounts ADD COLUMN since INTEGER NOT NULL DEFAULT 0;
  UPDATE billing_accounts SET since = settled;
  CREATE TRIGGER invoices_once BEFORE INSERT ON invoices
    WHEN NEW.kind = 'invoice' AND EXISTS (SELECT 1 FROM invoices
      WHERE client_id = NEW.client_id AND month = NEW.month AND kind = 'invoice')
    BEGIN SELECT RAISE (ABORT, 'a month has one invoice'); END;
  `,
  `
  DROP INDEX notice_deliveries_waiting;
  CREATE INDEX notice_deliveries_waiting ON notice_deliveries (kind, owner, target, next_at)
    WHERE state = 'waiting';
  `,
];

export const SCHEMA_VERSION = MIGRATIONS.length;

/**
 * Brings the schema up to date. Takes the write lock even when there is nothing to do. A table that
 * others refer to can only be made anew while foreign keys are off, so they are checked at the end.
 * `to` is an earlier version, for tests.
 */
export function migrate(database: Database.Database, to = SCHEMA_VERSION): void {
  const apply = database.transaction(() => {
    const version = database.pragma('user_version', { simple: true });
    assert(typeof version === 'number', 'user_version is a number');
    if (version > SCHEMA_VERSION) {
      throw new Error(
        `control.db has schema ${version}, this release knows ${SCHEMA_VERSION}: use a newer one`,
      );
    }
    for (const step of MIGRATIONS.slice(version, to)) database.exec(step);
    const broken = database.pragma('foreign_key_check') as unknown[];
    assert(broken.length === 0, 'a migration leaves no row without what it refers to');
    database.pragma(`user_version = ${Math.max(version, to)}`);
  });
  database.pragma('foreign_keys = OFF');
  apply.immediate();
  database.pragma('foreign_keys = ON');
}
