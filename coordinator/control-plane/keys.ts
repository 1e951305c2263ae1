/**
 * API keys as operators see them. The key itself exists in the reply to its creation and nowhere
 * else: the store keeps its digest, logs carry its `keyId`.
 */

import type { Clock } from '../../shared/base/clock.ts';
import { type ClientId, type KeyId, randomId } from '../../shared/base/ids.ts';
import { InvalidInput } from '../../shared/base/invalid.ts';
import type { SecureRandom } from '../../shared/base/random.ts';
import type { Mode } from '../../shared/domain/collection.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { ROLE_DEFAULT, type Role } from '../../shared/domain/permissions.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Log } from '../../shared/log/log.ts';
import { createApiKey, prefixOf } from '../auth/api-key.ts';
import type { Origin } from '../store/admin-audit.ts';
import type { ApiKeyRecord } from '../store/api-keys.ts';
import type { ClientRecord } from '../store/clients.ts';
import type { ControlStore } from '../store/control-store.ts';
import { parseName } from './name.ts';
import { type Page, pageOf } from './page.ts';

/** What must hear of a change: the authenticator's caches. */
export interface KeyCaches {
  /** After a key was created. */
  keyCreated(): void;
  /** After the transaction that raised the client's epoch has committed. */
  epochRaised(clientId: ClientId, epoch: number): void;
}

export interface NewKey {
  clientId: string;
  mode: Mode;
  name: string;
  role?: Role | undefined;
  /** Milliseconds since 1970; absent means never. */
  expiresAt?: number | undefined;
}

export interface CreatedKey {
  record: ApiKeyRecord;
  /** Shown once. */
  secret: string;
}

export interface KeyAdminDeps {
  store: Pick<ControlStore, 'clients' | 'apiKeys' | 'audited'>;
  caches: KeyCaches;
  digest: (key: string) => Uint8Array;
  /** How many keys a client may have that are not revoked. */
  keysMax: (clientId: ClientId) => number;
  random: SecureRandom;
  clock: Clock;
  log: Log;
}

export class KeyAdmin {
  readonly #deps: KeyAdminDeps;

  constructor(deps: KeyAdminDeps) {
    this.#deps = deps;
  }

  /** Throws `not_found` for an unknown client, `InvalidInput` for a bad name or a past expiry. */
  create(origin: Origin, input: NewKey): CreatedKey {
    const { store, caches, digest, random, clock, log } = this.#deps;
    const { clientId } = this.#client(input.clientId);
    const name = parseName(input.name, 'name');
    if (input.expiresAt !== undefined && input.expiresAt <= clock.now()) {
      throw new InvalidInput('expires_at', 'must be in the future');
    }
    const secret = createApiKey(input.mode, random.bytes);
    const record = store.audited(origin, () => {
      this.#checkRoom(clientId);
      const result = store.apiKeys.create({
        keyId: randomId<KeyId>('key_', random.bytes),
        clientId,
        mode: input.mode,
        prefix: prefixOf(secret),
        digest: digest(secret),
        name,
        role: input.role ?? ROLE_DEFAULT,
        expiresAt: input.expiresAt ?? null,
      });
      const after = shownOf(result);
      return { action: 'key.create', target: result.keyId, before: null, after, result };
    });
    caches.keyCreated();
    const { keyId, mode, role } = record;
    log.event('key_created', { clientId, keyId, mode, role });
    return { record, secret };
  }

  /** One page of a client's keys by id, revoked ones too. Throws `not_found`. */
  list(from: {
    clientId: string;
    after?: string | undefined;
    limit?: number | undefined;
  }): Page<ApiKeyRecord> {
    const { clientId } = this.#client(from.clientId);
    const limit = from.limit ?? LIMITS.adminPageMax;
    const found = this.#deps.store.apiKeys.page(
      clientId,
      from.after as KeyId | undefined,
      limit + 1,
    );
    return pageOf(found, limit, (key) => key.keyId);
  }

  /**
   * From the return of this call on the key is refused everywhere. Revoking again changes nothing.
   * Throws `not_found` for an unknown client or a key of another client.
   */
  revoke(origin: Origin, target: { clientId: string; keyId: string }): ApiKeyRecord {
    const { store, caches, log } = this.#deps;
    const { clientId } = this.#client(target.clientId);
    const { key, epoch } = store.audited(origin, () => {
      const keyId = target.keyId as KeyId;
      const before = store.apiKeys.get(clientId, keyId);
      const result = store.apiKeys.revoke(clientId, keyId);
      const shown = { before: before ? shownOf(before) : null, after: shownOf(result.key) };
      return { action: 'key.revoke', target: keyId, ...shown, result };
    });
    caches.epochRaised(clientId, epoch);
    log.event('key_revoked', { clientId, keyId: key.keyId });
    return key;
  }

  #checkRoom(clientId: ClientId): void {
    const max = this.#deps.keysMax(clientId);
    if (this.#deps.store.apiKeys.countUsable(clientId) < max) return;
    throw new InvalidInput('', `the client has ${max} keys: revoke one first`);
  }

  #client(clientId: string): ClientRecord {
    const client = this.#deps.store.clients.get(clientId as ClientId);
    if (client === undefined) throw new AppError('not_found', 'there is no such client');
    return client;
  }
}

function shownOf({ clientId, mode, name, role, expiresAt, revokedAt }: ApiKeyRecord): object {
  return { client_id: clientId, mode, name, role, expires_at: expiresAt, revoked_at: revokedAt };
}
