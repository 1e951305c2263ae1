/**
 * API keys at rest: a digest that decides and a prefix that finds. The key itself is never here.
 */
import type Database from 'better-sqlite3';
import { must } from '../../shared/base/assert.ts';
import type { Clock } from '../../shared/base/clock.ts';
import type { ClientId, KeyId } from '../../shared/base/ids.ts';
import type { Mode } from '../../shared/domain/collection.ts';
import type { Role } from '../../shared/domain/permissions.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import { guarded } from './sql-errors.ts';

/** What may be shown of a key. */
export interface ApiKeyRecord {
  keyId: KeyId;
  clientId: ClientId;
  mode: Mode;
  /** The first 8 characters of the random part, so that people can tell keys apart. */
  prefix: string;
  name: string;
  role: Role;
  createdAt: number;
  expiresAt: number | null;
  revokedAt: number | null;
}

/** What decides whether a presented key is this one, with the client's epoch of the same instant. */
export interface KeyCredential {
  keyId: KeyId;
  clientId: ClientId;
  mode: Mode;
  role: Role;
  digest: Buffer;
  expiresAt: number | null;
  epoch: number;
}

export interface NewApiKey {
  keyId: KeyId;
  clientId: ClientId;
  mode: Mode;
  prefix: string;
  digest: Uint8Array;
  name: string;
  role: Role;
  expiresAt: number | null;
}

const COLUMNS = `key_id AS keyId, client_id AS clientId, mode, prefix, name, role,
  created_at AS createdAt, expires_at AS expiresAt, revoked_at AS revokedAt`;

export class ApiKeysTable {
  readonly #clock: Clock;
  readonly #insert: Database.Statement<[NewApiKey & { createdAt: number }]>;
  readonly #get: Database.Statement<[ClientId, KeyId], ApiKeyRecord>;
  readonly #page: Database.Statement<[ClientId, string, number], ApiKeyRecord>;
  readonly #byPrefix: Database.Statement<[string], KeyCredential>;
  readonly #usable: Database.Statement<[ClientId], number>;
  readonly #revoke: Database.Transaction<(clientId: ClientId, keyId: KeyId) => RevokedKey>;

  constructor(database: Database.Database, clock: Clock) {
    this.#clock = clock;
    this.#insert = database.prepare(
      `INSERT INTO api_keys VALUES (@keyId, @clientId, @mode, @prefix, @digest, @name, @role,
        @createdAt, @expiresAt, NULL)`,
    );
    this.#get = database.prepare(
      `SELECT ${COLUMNS} FROM api_keys WHERE client_id = ? AND key_id = ?`,
    );
    this.#page = database.prepare(
      `SELECT ${COLUMNS} FROM api_keys WHERE client_id = ? AND key_id > ?
        ORDER BY key_id LIMIT ?`,
    );
    this.#byPrefix = database.prepare(
      `SELECT k.key_id AS keyId, k.client_id AS clientId, k.mode, k.role, k.digest,
          k.expires_at AS expiresAt, c.epoch
        FROM api_keys k JOIN clients c ON c.client_id = k.client_id
        WHERE k.prefix = ? AND k.revoked_at IS NULL AND c.state = 'active'`,
    );
    this.#usable = database
      .prepare<[ClientId], number>(
        'SELECT count(*) FROM api_keys WHERE client_id = ? AND revoked_at IS NULL',
      )
      .pluck();
    this.#revoke = this.#prepareRevoke(database);
  }

  /** The client must exist. */
  create(key: NewApiKey): ApiKeyRecord {
    guarded(() => this.#insert.run({ ...key, createdAt: this.#clock.now() }));
    return must(this.#get.get(key.clientId, key.keyId), 'an inserted key can be read');
  }

  get(clientId: ClientId, keyId: KeyId): ApiKeyRecord | undefined {
    return this.#get.get(clientId, keyId);
  }

  /** Up to `limit` keys of a client, revoked ones too, in the order of their ids. */
  page(clientId: ClientId, after: KeyId | undefined, limit: number): ApiKeyRecord[] {
    return this.#page.all(clientId, after ?? '', limit);
  }

  /** How many keys of the client are not revoked. */
  countUsable(clientId: ClientId): number {
    return this.#usable.get(clientId) ?? 0;
  }

  /** The keys that a presented key with this prefix may be: not revoked, of an active client. */
  byPrefix(prefix: string): KeyCredential[] {
    return this.#byPrefix.all(prefix);
  }

  /**
   * Revokes a key and raises its client's epoch in one transaction. Revoking a revoked key changes
   * nothing. Throws `not_found` when the client has no such key.
   */
  revoke(clientId: ClientId, keyId: KeyId): RevokedKey {
    return guarded(() => this.#revoke.immediate(clientId, keyId));
  }

  #prepareRevoke(
    database: Database.Database,
  ): Database.Transaction<(clientId: ClientId, keyId: KeyId) => RevokedKey> {
    const markRevoked = database.prepare<[number, KeyId]>(
      'UPDATE api_keys SET revoked_at = ? WHERE key_id = ? AND revoked_at IS NULL',
    );
    const raiseEpoch = database.prepare<[ClientId]>(
      'UPDATE clients SET epoch = epoch + 1 WHERE client_id = ?',
    );
    const epochOf = database
      .prepare<[ClientId], number>('SELECT epoch FROM clients WHERE client_id = ?')
      .pluck();
    return database.transaction((clientId, keyId) => {
      if (this.#get.get(clientId, keyId) === undefined) {
        throw new AppError('not_found', 'the client has no such key');
      }
      if (markRevoked.run(this.#clock.now(), keyId).changes === 1) raiseEpoch.run(clientId);
      return {
        key: must(this.#get.get(clientId, keyId), 'a revoked key can be read'),
        epoch: must(epochOf.get(clientId), 'a key has a client'),
      };
    });
  }
}

export interface RevokedKey {
  key: ApiKeyRecord;
  /** The client's epoch as committed. */
  epoch: number;
}
