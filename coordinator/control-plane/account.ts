/**
 * What a client sees and does by itself, with a key of its own. A key reaches keys of its mode (a
 * live one those of both), in its namespaces, with its role or a lesser one: it may see and revoke
 * them. What lies beyond its reach is not there for it. Secrets it makes only for itself and for
 * lesser keys that neither outlast it nor may ask more often, so none gives it more than it has.
 */
import { InvalidInput } from '../../shared/base/invalid.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { areWithin } from '../../shared/domain/namespace.ts';
import { isLesser } from '../../shared/domain/permissions.ts';
import type { PlanLimits } from '../../shared/domain/plan.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Principal } from '../auth/principal.ts';
import type { Payer } from '../limits/tally.ts';
import type { Origin } from '../store/admin-audit.ts';
import type { ApiKeyRecord } from '../store/api-keys.ts';
import type { ClientRecord } from '../store/clients.ts';
import type { ControlStore } from '../store/control-store.ts';
import type { Idempotency, Repeatable } from './idempotency.ts';
import type { KeyAdmin, KeyWithSecret, NewKey } from './keys.ts';
import { type Page, pageOf } from './page.ts';

/** What of its limits a client uses now. */
export interface Use {
  points: number;
  bytes: number;
  collections: number;
  namespaces: number;
  keys: number;
  inFlight: number;
}

export interface AccountDeps {
  store: Pick<ControlStore, 'clients' | 'apiKeys'>;
  keys: KeyAdmin;
  /** Supplied by the data plane and by the limits. */
  limitsOf: (owner: Principal) => PlanLimits;
  usedBy: (owner: Principal) => Promise<Omit<Use, 'keys'>>;
  /** Takes units of work. Throws `rate_limited`. */
  spend: (payer: Payer, units: number) => void;
  /** The same of what is known only afterwards. */
  charge: (payer: Payer, units: number) => void;
  idempotency: Idempotency;
}

/** Of a change: several writes to disk, and rows that stay. */
/** Of an export, read from the disk in parts. */
const READ_CHARS_PER_UNIT = 8 * 1024;
const CHANGE_COST = 16;

interface MaybeRepeated {
  idempotencyKey: string | undefined;
}

type NewOwnKey = Omit<NewKey, 'clientId'>;

export class Account {
  readonly #deps: AccountDeps;

  constructor(deps: AccountDeps) {
    this.#deps = deps;
  }

  /** The client, and the key that asks. */
  me(principal: Principal): { client: ClientRecord; key: ApiKeyRecord } {
    const { store, keys } = this.#deps;
    const client = store.clients.get(principal.clientId);
    if (client === undefined) throw new AppError('unauthenticated');
    return { client, key: keys.show(principal) };
  }

  /** What holds for the data of the key's mode, and what of it is used. */
  async limits(principal: Principal): Promise<{ limits: PlanLimits; used: Use }> {
    const { store, limitsOf, usedBy } = this.#deps;
    const used = await usedBy(principal);
    const keys = store.apiKeys.countUsable(principal.clientId, principal.mode);
    return { limits: limitsOf(principal), used: { ...used, keys } };
  }

  /** One page of the keys within reach, by id. */
  listKeys(
    principal: Principal,
    from: { after?: string | undefined; limit?: number | undefined },
  ): Page<ApiKeyRecord> {
    const { clientId } = principal;
    const limit = from.limit ?? LIMITS.adminPageMax;
    const found: ApiKeyRecord[] = [];
    let after: string | null | undefined = from.after;
    do {
      const page: Page<ApiKeyRecord> = this.#deps.keys.list({ clientId, after });
      found.push(...page.items.filter((key) => reaches(principal, key)));
      after = page.next;
    } while (after !== null && found.length <= limit);
    return pageOf(found, limit, (key) => key.keyId);
  }

  /** Throws `not_found`. */
  showKey(principal: Principal, keyId: string): ApiKeyRecord {
    const key = this.#deps.keys.show({ clientId: principal.clientId, keyId });
    if (reaches(principal, key)) return key;
    throw new AppError('not_found', 'the client has no such key');
  }

  /** Throws `InvalidInput` or `forbidden` for more than the key may do itself, `quota_exceeded`. */
  createKey(principal: Principal & Payer, wanted: NewOwnKey): KeyWithSecret {
    const { keys } = this.#deps;
    const own = this.#own(principal);
    const { clientId, namespaces, mode, role } = principal;
    if (mode === 'test' && wanted.mode === 'live') {
      throw new AppError('forbidden', 'a test key makes test keys only');
    }
    if (wanted.role === undefined || !isLesser(wanted.role, role)) {
      throw new InvalidInput('role', `must be one that may do less than "${role}"`);
    }
    const wantedSpaces = wanted.namespaces === undefined ? namespaces : wanted.namespaces;
    if (!areWithin(wantedSpaces, namespaces)) {
      throw new InvalidInput('namespaces', 'must be among those of the key that asks');
    }
    const expiresAt = wanted.expiresAt ?? own.expiresAt;
    if (!isWithin(expiresAt, own.expiresAt)) {
      throw new InvalidInput('expires_at', 'may not be after the end of the key that asks');
    }
    const requestsPerSecond = wanted.requestsPerSecond ?? own.requestsPerSecond;
    if (!isWithin(requestsPerSecond, own.requestsPerSecond)) {
      throw new InvalidInput('requests_per_second', 'may not be above that of the key that asks');
    }
    const key = { ...wanted, clientId, namespaces: wantedSpaces, expiresAt, requestsPerSecond };
    this.#spend(principal);
    return keys.create(this.#origin(principal), key);
  }

  /** Throws `not_found`, `forbidden` for a key that may do more, what `KeyAdmin.rotate` throws. */
  rotateKey(
    principal: Principal & Payer,
    keyId: string,
    graceSeconds: number | undefined,
  ): KeyWithSecret {
    const key = this.showKey(principal, keyId);
    const own = this.#own(principal);
    if (key.keyId === own.keyId && key.expiresAt !== principal.endsAt) {
      throw new AppError(
        'forbidden',
        'a secret that was replaced does not replace the one after it',
      );
    }
    if (key.keyId !== own.keyId && !givesLess(key, own)) {
      const text = 'a key rotates itself and lesser keys that end when it does; revoke the other';
      throw new AppError('forbidden', text);
    }
    this.#spend(principal);
    const target = { clientId: principal.clientId, keyId };
    return this.#deps.keys.rotate(this.#origin(principal), target, { graceSeconds });
  }

  /** The answer of `make`, or the one that the same key had for this request before. */
  once<Answer extends object>(
    { keyId }: Principal,
    { idempotencyKey, ...request }: Omit<Repeatable, 'idempotencyKey'> & MaybeRepeated,
    make: () => Answer,
  ): Answer {
    if (idempotencyKey === undefined) return make();
    const own = { ...request, idempotencyKey: `${keyId} ${idempotencyKey}` };
    return this.#deps.idempotency.once(own, make) as Answer;
  }

  /** Throws `not_found`. */
  revokeKey(principal: Principal & Payer, keyId: string): ApiKeyRecord {
    this.showKey(principal, keyId);
    this.#spend(principal);
    const target = { clientId: principal.clientId, keyId };
    return this.#deps.keys.revoke(this.#origin(principal), target);
  }

  /** What is no matter of test data wants a live key. Throws `forbidden`. */
  checkLive({ mode }: Principal): void {
    if (mode === 'live') return;
    throw new AppError('forbidden', 'this is of the whole client: a live key is needed');
  }

  /** Who asks for a change of what notices lead to; takes what it costs. Throws `forbidden`, `rate_limited`. */
  beginChange(principal: Principal & Payer): Origin {
    this.checkLive(principal);
    this.#spend(principal);
    return this.#origin(principal);
  }

  /** The key that asks, with the end of the secret that was shown. */
  #own(principal: Principal): ApiKeyRecord {
    return { ...this.#deps.keys.show(principal), expiresAt: principal.endsAt };
  }

  /** Passes on what is read out at length, for what it comes to. */
  async *charged(payer: Payer, lines: AsyncIterable<string>): AsyncIterable<string> {
    for await (const part of lines) {
      this.#deps.charge(payer, Math.floor(part.length / READ_CHARS_PER_UNIT));
      yield part;
    }
  }

  #spend(payer: Payer): void {
    this.#deps.spend(payer, CHANGE_COST);
  }

  #origin({ keyId, requestId }: Principal & Payer): Origin {
    return { actor: keyId, requestId };
  }
}

/** Whether a secret of that key is worth less than one of one's own. */
function givesLess(key: ApiKeyRecord, own: ApiKeyRecord): boolean {
  if (!isLesser(key.role, own.role) || !isWithin(key.expiresAt, own.expiresAt)) return false;
  return isWithin(key.requestsPerSecond, own.requestsPerSecond);
}

/** Null is without bound. */
function isWithin(value: number | null, bound: number | null): boolean {
  return bound === null || (value !== null && value <= bound);
}

function reaches(principal: Principal, key: ApiKeyRecord): boolean {
  const { mode, role, namespaces } = principal;
  if (mode === 'test' && key.mode === 'live') return false;
  if (key.role !== role && !isLesser(key.role, role)) return false;
  return areWithin(key.namespaces, namespaces);
}
