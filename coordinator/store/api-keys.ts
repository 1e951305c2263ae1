/**
 * API keys at rest. A key has one or two secrets: the current one, and after a rotation the one
 * before until its end. Of a secret there is a digest that decides and a prefix that finds; the
 * secret itself is never here.
 *
 * Every change of a key raises its client's epoch, so that no cached copy of it outlives the change.
 * Changes are made in a transaction of the caller (`ControlStore.audited`).
 */
import type Database from 'better-sqlite3';
import { must } from '../../shared/base/assert.ts';
import type { Clock } from '../../shared/base/clock.ts';
import type { ClientId, KeyId } from '../../shared/base/ids.ts';
import type { Mode } from '../../shared/domain/collection.ts';
import type { Role } from '../../shared/domain/permissions.ts';
import { guarded } from './sql-errors.ts';

/** What may be shown of a secret. */
export interface SecretRecord {
  /** The first 8 characters of the random part, so that people can tell secrets apart. */
  prefix: string;
  createdAt: number;
  /** When it ends before its key does; null for the current one. */
  endsAt: number | null;
}

/** What an operator or the client may change of a key. */
export interface KeyTerms {
  name: string;
  role: Role;
  /** Those it may touch; null for all. */
  namespaces: string[] | null;
  /** Of this key alone, within its client's; null for no bound of its own. */
  requestsPerSecond: number | null;
  expiresAt: number | null;
}

/** What may be shown of a key. */
export interface ApiKeyRecord extends KeyTerms {
  keyId: KeyId;
  clientId: ClientId;
  mode: Mode;
  /** Raised with each change. */
  version: number;
  createdAt: number;
  revokedAt: number | null;
  /** To the minute; null when it never was. */
  lastUsedAt: number | null;
  /** Newest first: the current one, and the one before while it holds. */
  secrets: SecretRecord[];
}

/** What decides whether a presented key is this one, with the client's epoch of the same instant. */
export interface KeyCredential extends Pick<KeyTerms, 'role' | 'namespaces' | 'requestsPerSecond'> {
  keyId: KeyId;
  clientId: ClientId;
  mode: Mode;
  digest: Buffer;
  /** When key or secret ends, whichever is first; null for never. */
  expiresAt: number | null;
  epoch: number;
}

export interface NewSecret {
  prefix: string;
  digest: Uint8Array;
}

export interface NewApiKey extends KeyTerms {
  keyId: KeyId;
  clientId: ClientId;
  mode: Mode;
  secret: NewSecret;
}

/** Where a page of keys that come to their end goes on: after that time, and at that time after that id. */
export interface ExpiryPlace {
  expiresAt: number;
  keyId: string;
}

/** A key that comes to its end. */
export interface ExpiringKey {
  keyId: KeyId;
  clientId: ClientId;
  name: string;
  expiresAt: number;
}

export interface ChangedKey {
  key: ApiKeyRecord;
  /** The client's epoch with the change. */
  epoch: number;
}

type KeyRow = Omit<ApiKeyRecord, 'namespaces' | 'secrets'> & {
  namespaces: string | null;
  secrets: string;
};
type CredentialRow = Omit<KeyCredential, 'namespaces'> & { namespaces: string | null };

const COLUMNS = `key_id AS keyId, client_id AS clientId, mode, name, role, namespaces,
  requests_per_second AS requestsPerSecond, version, created_at AS createdAt,
  expires_at AS expiresAt, revoked_at AS revokedAt, last_used_at AS lastUsedAt,
  (SELECT json_group_array(
      json_object('prefix', prefix, 'createdAt', created_at, 'endsAt', ends_at)
      ORDER BY ends_at IS NOT NULL)
    FROM api_key_secrets s
    WHERE s.key_id = api_keys.key_id AND (ends_at IS NULL OR ends_at > @now)) AS secrets`;

export class ApiKeysTable {
  readonly #clock: Clock;
  readonly #sql: ReturnType<typeof prepare>;

  constructor(database: Database.Database, clock: Clock) {
    this.#clock = clock;
    this.#sql = prepare(database);
  }

  /** The client must exist. */
  create({ secret, ...key }: NewApiKey): ApiKeyRecord {
    const createdAt = this.#clock.now();
    guarded(() => {
      this.#sql.insert.run({ ...key, namespaces: jsonOf(key.namespaces), createdAt });
      this.#sql.insertSecret.run({ keyId: key.keyId, ...secret, createdAt });
    });
    return must(this.get(key.clientId, key.keyId), 'an inserted key can be read');
  }

  get(clientId: ClientId, keyId: KeyId): ApiKeyRecord | undefined {
    const row = this.#sql.get.get({ clientId, keyId, now: this.#clock.now() });
    return row && fromRow(row);
  }

  /** Up to `limit` keys of a client, revoked ones too, in the order of their ids. */
  page(clientId: ClientId, after: KeyId | undefined, limit: number): ApiKeyRecord[] {
    const now = this.#clock.now();
    return this.#sql.page.all({ clientId, after: after ?? '', limit, now }).map(fromRow);
  }

  /** Up to `limit` keys of active clients that end after that place and until `until`, and are not revoked, by end. */
  expiring(after: ExpiryPlace, until: number, limit: number): ExpiringKey[] {
    return this.#sql.expiring.all({ ...after, until, limit });
  }

  /** How many keys of the client and mode are not revoked. */
  countUsable(clientId: ClientId, mode: Mode): number {
    return this.#sql.countUsable.get(clientId, mode) ?? 0;
  }

  /** The keys that a presented key with this prefix may be: not revoked, of an active client. */
  byPrefix(prefix: string): KeyCredential[] {
    // A twentieth of the time of the whole question, and most that are asked for are not there.
    if (this.#sql.hasPrefix.get(prefix) === undefined) return [];
    return this.#sql.byPrefix.all(prefix).map(({ namespaces, ...row }) => {
      return { ...row, namespaces: parsed(namespaces) };
    });
  }

  /** Gives the key other terms. */
  change(before: ApiKeyRecord, change: Partial<KeyTerms>): ChangedKey {
    const { keyId, name, role, namespaces, requestsPerSecond, expiresAt } = {
      ...before,
      ...change,
    };
    const terms = { name, role, namespaces: jsonOf(namespaces), requestsPerSecond, expiresAt };
    guarded(() => this.#sql.update.run({ keyId, ...terms }));
    return this.#changed(before);
  }

  /** Gives the key another secret. The current one ends then; one that had an end already, now. */
  rotate(before: ApiKeyRecord, secret: NewSecret, endsAt: number): ChangedKey {
    const { keyId } = before;
    const createdAt = this.#clock.now();
    guarded(() => {
      this.#sql.dropOld.run(keyId);
      if (endsAt > createdAt) this.#sql.endCurrent.run(endsAt, keyId);
      else this.#sql.dropCurrent.run(keyId);
      this.#sql.insertSecret.run({ keyId, ...secret, createdAt });
      this.#sql.touch.run(keyId);
    });
    return this.#changed(before);
  }

  /** Lets the secret before the current one, if it still holds, end then instead. */
  endOld(before: ApiKeyRecord, endsAt: number): ChangedKey {
    const { keyId } = before;
    guarded(() => {
      if (endsAt > this.#clock.now()) this.#sql.endOld.run(endsAt, keyId);
      else this.#sql.dropOld.run(keyId);
      this.#sql.touch.run(keyId);
    });
    return this.#changed(before);
  }

  revoke(before: ApiKeyRecord): ChangedKey {
    guarded(() => this.#sql.revoke.run(this.#clock.now(), before.keyId));
    return this.#changed(before);
  }

  /** Notes when keys were used, in milliseconds since 1970; never back in time. */
  used(times: ReadonlyMap<KeyId, number>): void {
    guarded(() => this.#sql.used(times));
  }

  /** Forgets all keys of a client. */
  removeAll(clientId: ClientId): void {
    guarded(() => this.#sql.removeAll.run(clientId));
  }

  #changed({ clientId, keyId }: ApiKeyRecord): ChangedKey {
    const epoch = must(this.#sql.raiseEpoch.get(clientId), 'a key has a client');
    return { key: must(this.get(clientId, keyId), 'a changed key can be read'), epoch };
  }
}

function prepare(database: Database.Database) {
  const markUsed = database.prepare<[number, KeyId]>(
    'UPDATE api_keys SET last_used_at = max(ifnull(last_used_at, 0), ?) WHERE key_id = ?',
  );
  const used = database.transaction((times: ReadonlyMap<KeyId, number>) => {
    for (const [keyId, at] of times) markUsed.run(at, keyId);
  });
  return {
    insert: database.prepare(
      `INSERT INTO api_keys VALUES (@keyId, @clientId, @mode, @name, @role, @namespaces,
        @requestsPerSecond, 1, @createdAt, @expiresAt, NULL, NULL)`,
    ),
    insertSecret: database.prepare(
      'INSERT INTO api_key_secrets VALUES (@keyId, @prefix, @digest, @createdAt, NULL)',
    ),
    get: database.prepare<[object], KeyRow>(
      `SELECT ${COLUMNS} FROM api_keys WHERE client_id = @clientId AND key_id = @keyId`,
    ),
    page: database.prepare<[object], KeyRow>(
      `SELECT ${COLUMNS} FROM api_keys WHERE client_id = @clientId AND key_id > @after
        ORDER BY key_id LIMIT @limit`,
    ),
    expiring: database.prepare<[object], ExpiringKey>(
      `SELECT k.key_id AS keyId, k.client_id AS clientId, k.name, k.expires_at AS expiresAt
        FROM api_keys k JOIN clients c ON c.client_id = k.client_id
        WHERE (k.expires_at, k.key_id) > (@expiresAt, @keyId) AND k.expires_at <= @until
          AND k.revoked_at IS NULL AND c.state = 'active'
        ORDER BY k.expires_at, k.key_id LIMIT @limit`,
    ),
    countUsable: database
      .prepare<[ClientId, Mode], number>(
        'SELECT count(*) FROM api_keys WHERE client_id = ? AND mode = ? AND revoked_at IS NULL',
      )
      .pluck(),
    hasPrefix: database
      .prepare<[string], number>('SELECT 1 FROM api_key_secrets WHERE prefix = ? LIMIT 1')
      .pluck(),
    byPrefix: database.prepare<[string], CredentialRow>(
      `SELECT k.key_id AS keyId, k.client_id AS clientId, k.mode, k.role, k.namespaces,
          k.requests_per_second AS requestsPerSecond, s.digest,
          min(ifnull(k.expires_at, s.ends_at), ifnull(s.ends_at, k.expires_at)) AS expiresAt,
          c.epoch
        FROM api_key_secrets s JOIN api_keys k ON k.key_id = s.key_id
          JOIN clients c ON c.client_id = k.client_id
        WHERE s.prefix = ? AND k.revoked_at IS NULL AND c.state IN ('active', 'paused')`,
    ),
    update: database.prepare(
      `UPDATE api_keys SET name = @name, role = @role, namespaces = @namespaces,
        requests_per_second = @requestsPerSecond, expires_at = @expiresAt, version = version + 1
        WHERE key_id = @keyId`,
    ),
    touch: database.prepare<[KeyId]>('UPDATE api_keys SET version = version + 1 WHERE key_id = ?'),
    endCurrent: database.prepare<[number, KeyId]>(
      'UPDATE api_key_secrets SET ends_at = ? WHERE key_id = ? AND ends_at IS NULL',
    ),
    dropCurrent: database.prepare<[KeyId]>(
      'DELETE FROM api_key_secrets WHERE key_id = ? AND ends_at IS NULL',
    ),
    endOld: database.prepare<[number, KeyId]>(
      'UPDATE api_key_secrets SET ends_at = ? WHERE key_id = ? AND ends_at IS NOT NULL',
    ),
    dropOld: database.prepare<[KeyId]>(
      'DELETE FROM api_key_secrets WHERE key_id = ? AND ends_at IS NOT NULL',
    ),
    revoke: database.prepare<[number, KeyId]>(
      'UPDATE api_keys SET revoked_at = ?, version = version + 1 WHERE key_id = ?',
    ),
    raiseEpoch: database
      .prepare<[ClientId], number>(
        'UPDATE clients SET epoch = epoch + 1 WHERE client_id = ? RETURNING epoch',
      )
      .pluck(),
    removeAll: database.prepare<[ClientId]>('DELETE FROM api_keys WHERE client_id = ?'),
    used,
  };
}

function fromRow(row: KeyRow): ApiKeyRecord {
  return {
    ...row,
    namespaces: parsed(row.namespaces),
    secrets: JSON.parse(row.secrets) as SecretRecord[],
  };
}

function parsed(namespaces: string | null): string[] | null {
  return namespaces === null ? null : (JSON.parse(namespaces) as string[]);
}

function jsonOf(namespaces: string[] | null): string | null {
  return namespaces === null ? null : JSON.stringify(namespaces);
}
