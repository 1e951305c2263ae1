/**
 * API keys: made, changed, rotated, revoked. A secret exists in the reply that made it and nowhere
 * else: the store keeps its digest, logs carry the `keyId`.
 *
 *            create                rotate, grace                end of grace
 *   (none) ---------> [current] ----------------> [current]    ------------>   [current]
 *                                                 [old, ends]
 *
 * At most two secrets hold at a time. While an old one holds, the next rotation says "now" (no
 * grace), which ends both, or waits: dropping the old one early would surprise whoever still uses it.
 */
import type { Clock } from '../../shared/base/clock.ts';
import { type ClientId, type KeyId, randomId } from '../../shared/base/ids.ts';
import { InvalidInput } from '../../shared/base/invalid.ts';
import type { SecureRandom } from '../../shared/base/random.ts';
import type { Mode } from '../../shared/domain/collection.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { NAMESPACE_DEFAULT, parseNamespaces } from '../../shared/domain/namespace.ts';
import { ROLE_DEFAULT, type Role } from '../../shared/domain/permissions.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Log } from '../../shared/log/log.ts';
import { createApiKey, prefixOf } from '../auth/api-key.ts';
import type { Origin } from '../store/admin-audit.ts';
import type { ApiKeyRecord, ChangedKey, KeyTerms, NewSecret } from '../store/api-keys.ts';
import type { ClientRecord } from '../store/clients.ts';
import type { ControlStore } from '../store/control-store.ts';
import { checkGrace } from './grace.ts';
import { parseName } from './name.ts';
import { type Page, pageOf } from './page.ts';
import { checkVersion, type Expected } from './version.ts';

/** What must hear of a change: the authenticator's caches. */
export interface KeyCaches {
  /** After a key was created, or one that was refused may hold again. */
  keyCreated(): void;
  /** After the transaction that raised the client's epoch has committed. */
  epochRaised(clientId: ClientId, epoch: number): void;
}

/** What is asked for; absent fields stay as they are, or are as a new key has them. */
export interface KeyTermsInput {
  name?: string | undefined;
  role?: Role | undefined;
  namespaces?: readonly string[] | null | undefined;
  requestsPerSecond?: number | null | undefined;
  /** Milliseconds since 1970; null means never. */
  expiresAt?: number | null | undefined;
}

export interface NewKey extends KeyTermsInput {
  clientId: string;
  mode: Mode;
}

export interface KeyUpdate extends KeyTermsInput, Expected {
  /** The secret before the current one, if it still holds, ends after so many seconds. */
  graceSeconds?: number | undefined;
}

export interface KeyTarget {
  clientId: string;
  keyId: string;
}

export interface KeyWithSecret {
  record: ApiKeyRecord;
  /** Shown once. */
  secret: string;
}

export interface KeyAdminDeps {
  store: Pick<ControlStore, 'clients' | 'apiKeys' | 'audited' | 'afterCommit'>;
  caches: KeyCaches;
  digest: (key: string) => Uint8Array;
  /** How many live keys a client may have that are not revoked. */
  keysMax: (clientId: ClientId) => number;
  random: SecureRandom;
  clock: Clock;
  log: Log;
}

const GRACE_SECONDS_DEFAULT = 24 * 3_600;

export class KeyAdmin {
  readonly #deps: KeyAdminDeps;

  constructor(deps: KeyAdminDeps) {
    this.#deps = deps;
  }

  /** Throws `not_found` for an unknown client, `InvalidInput`, `quota_exceeded`. */
  create(origin: Origin, input: NewKey): KeyWithSecret {
    const { store, caches, random, log } = this.#deps;
    const { clientId } = this.#client(input.clientId);
    const { mode } = input;
    const terms: KeyTerms = {
      name: 'unnamed',
      role: ROLE_DEFAULT,
      namespaces: [NAMESPACE_DEFAULT],
      requestsPerSecond: null,
      expiresAt: null,
      ...this.#parseTerms(input),
    };
    const { secret, stored } = this.#newSecret(mode);
    const record = store.audited(origin, () => {
      this.#checkRoom(clientId, mode);
      const keyId = randomId<KeyId>('key_', random.bytes);
      const result = store.apiKeys.create({ keyId, clientId, mode, secret: stored, ...terms });
      const after = shownOf(result);
      return { action: 'key.create', target: keyId, before: null, after, result };
    });
    const { keyId, role } = record;
    store.afterCommit(() => {
      caches.keyCreated();
      log.event('key_created', { clientId, keyId, mode, role });
    });
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

  /** Throws `not_found` for an unknown client or a key of another client. */
  show({ clientId, keyId }: KeyTarget): ApiKeyRecord {
    const client = this.#client(clientId);
    const key = this.#deps.store.apiKeys.get(client.clientId, keyId as KeyId);
    if (key === undefined) throw new AppError('not_found', 'the client has no such key');
    return key;
  }

  /**
   * Changes terms, for the next request with the key. An expiry may be extended after it has passed.
   * Throws `not_found`, `InvalidInput`, `precondition_failed`, or `conflict` for a revoked key.
   */
  update(origin: Origin, target: KeyTarget, update: KeyUpdate): ApiKeyRecord {
    const { store, clock } = this.#deps;
    const change = this.#parseTerms(update);
    const { graceSeconds } = update;
    checkGrace(graceSeconds, LIMITS.keyGraceSecondsMax);
    if (Object.keys(change).length === 0 && graceSeconds === undefined) {
      throw new InvalidInput('', 'nothing to change: give a term of the key, or grace_seconds');
    }
    return this.#change(origin, 'key.update', target, update, (before) => {
      if (graceSeconds !== undefined) {
        if (oldSecretOf(before) === undefined) {
          throw new AppError('conflict', 'the key has no older secret that still holds');
        }
        const latest = rotatedAt(before) + LIMITS.keyGraceSecondsMax * 1_000;
        store.apiKeys.endOld(before, Math.min(latest, clock.now() + graceSeconds * 1_000));
      }
      return store.apiKeys.change(before, change);
    });
  }

  /**
   * Gives the key another secret; the one before holds for the grace, 24 hours by default. Without
   * grace it is refused everywhere from the return of this call on, and so is an older one. Throws
   * as `update` does; `conflict`, too, for a grace while an older secret still holds.
   */
  rotate(
    origin: Origin,
    target: KeyTarget,
    options: { graceSeconds?: number | undefined } & Expected = {},
  ): KeyWithSecret {
    const { store, clock } = this.#deps;
    const { graceSeconds = GRACE_SECONDS_DEFAULT } = options;
    checkGrace(graceSeconds, LIMITS.keyGraceSecondsMax);
    let secret = '';
    const record = this.#change(origin, 'key.rotate', target, options, (before) => {
      const old = oldSecretOf(before);
      if (old !== undefined && graceSeconds > 0) throw stillHolds(old.endsAt);
      const made = this.#newSecret(before.mode);
      secret = made.secret;
      return store.apiKeys.rotate(before, made.stored, clock.now() + graceSeconds * 1_000);
    });
    return { record, secret };
  }

  /**
   * From the return of this call on the key is refused everywhere. Revoking again changes nothing.
   * Throws `not_found` for an unknown client or a key of another client, `precondition_failed`.
   */
  revoke(origin: Origin, target: KeyTarget, expected: Expected = {}): ApiKeyRecord {
    const found = this.show(target);
    if (found.revokedAt !== null) return found;
    return this.#change(origin, 'key.revoke', target, expected, (before) => {
      return this.#deps.store.apiKeys.revoke(before);
    });
  }

  #change(
    origin: Origin,
    action: string,
    target: KeyTarget,
    expected: Expected,
    change: (before: ApiKeyRecord) => ChangedKey,
  ): ApiKeyRecord {
    const { store, caches, log } = this.#deps;
    const { key, epoch } = store.audited(origin, () => {
      const before = this.show(target);
      checkVersion(before, expected);
      if (before.revokedAt !== null) throw new AppError('conflict', 'the key is revoked, for good');
      const result = change(before);
      const shown = { before: shownOf(before), after: shownOf(result.key) };
      return { action, target: before.keyId, ...shown, result };
    });
    const { clientId, keyId } = key;
    store.afterCommit(() => {
      caches.epochRaised(clientId, epoch);
      // It may hold again, or has a new secret, and may have been tried, and noted as unknown, before.
      caches.keyCreated();
      log.event('key_changed', { clientId, keyId, action });
    });
    return key;
  }

  #newSecret(mode: Mode): { secret: string; stored: NewSecret } {
    const secret = createApiKey(mode, this.#deps.random.bytes);
    return { secret, stored: { prefix: prefixOf(secret), digest: this.#deps.digest(secret) } };
  }

  #parseTerms(input: KeyTermsInput): Partial<KeyTerms> {
    const { name, role, namespaces, requestsPerSecond, expiresAt } = input;
    if (typeof expiresAt === 'number' && expiresAt <= this.#deps.clock.now()) {
      throw new InvalidInput('expires_at', 'must be in the future');
    }
    const parsed = namespaces === undefined ? undefined : parseNamespaces(namespaces, 'namespaces');
    return {
      ...(name !== undefined && { name: parseName(name, 'name') }),
      ...(role !== undefined && { role }),
      ...(parsed !== undefined && { namespaces: parsed && [...parsed] }),
      ...(requestsPerSecond !== undefined && { requestsPerSecond }),
      ...(expiresAt !== undefined && { expiresAt }),
    };
  }

  /** Test keys cost nothing, so only the bound of the system holds for them. */
  #checkRoom(clientId: ClientId, mode: Mode): void {
    const max = mode === 'live' ? this.#deps.keysMax(clientId) : LIMITS.keysPerClientMax;
    if (this.#deps.store.apiKeys.countUsable(clientId, mode) < max) return;
    throw new AppError('quota_exceeded', `there are at most ${max} ${mode} keys: revoke one first`);
  }

  #client(clientId: string): ClientRecord {
    const client = this.#deps.store.clients.get(clientId as ClientId);
    if (client === undefined) throw new AppError('not_found', 'there is no such client');
    return client;
  }
}

/** When the current secret was made. */
function rotatedAt({ secrets }: ApiKeyRecord): number {
  return secrets.find(({ endsAt }) => endsAt === null)?.createdAt ?? 0;
}

function oldSecretOf({ secrets }: ApiKeyRecord) {
  return secrets.find(({ endsAt }) => endsAt !== null);
}

function stillHolds(endsAt: number | null): AppError {
  const until = new Date(endsAt ?? 0).toISOString();
  const text = `the secret before still holds, until ${until}: end it first, or rotate without grace`;
  return new AppError('conflict', text);
}

function shownOf(key: ApiKeyRecord): object {
  return {
    client_id: key.clientId,
    mode: key.mode,
    name: key.name,
    role: key.role,
    namespaces: key.namespaces,
    requests_per_second: key.requestsPerSecond,
    expires_at: key.expiresAt,
    revoked_at: key.revokedAt,
    secrets: key.secrets.map(({ prefix, endsAt }) => ({ prefix, ends_at: endsAt })),
  };
}
