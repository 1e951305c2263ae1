/**
 * From a presented key to a `Principal`, without SQL when the key is known.
 *
 *   presented -- form, checksum ---------------------------------> refused (no hash was computed)
 *       |
 *       v  slot = xxHash64(seed, key)     digest = HMAC-SHA-256(pepper, key)
 *   [known slot]  digest equal, epoch current, not expired ------> principal
 *       | else
 *   [unknown slot]  digest equal, noted within the last seconds -> refused
 *       | else
 *   one indexed read: keys with this prefix, not revoked --------> remembered as known or unknown
 *
 * The fast hash only picks the slot. Whether an entry is *this* key the digest decides, compared
 * in constant time and computed for each request: two keys in one slot push each other out and
 * are never taken for each other. Revocation needs no search of the cache: it raises the client's
 * epoch, and an entry of another epoch is not used. An entry carries the epoch that was read in
 * the same statement as its key.
 *
 * Unknown keys have a small cache of their own, so that a flood of them can neither push known
 * keys out nor cost a read each. It is emptied whenever a key is created.
 */
import { timingSafeEqual } from 'node:crypto';
import { LRUCache } from 'lru-cache';
import type { Clock } from '../../shared/base/clock.ts';
import type { ClientId, KeyId } from '../../shared/base/ids.ts';
import { homeOf } from '../../shared/domain/namespace.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { KeyCredential } from '../store/api-keys.ts';
import { isApiKey, prefixOf } from './api-key.ts';
import type { EpochBook } from './epochs.ts';
import type { KeyDigester } from './key-digest.ts';
import type { KeyHash } from './key-hash.ts';
import type { Principal } from './principal.ts';

const KNOWN_MAX = 10_000;
const UNKNOWN_MAX = 1_000;
const UNKNOWN_TTL_MS = 10_000;
const NOTED_EVERY_MS = 60_000;

/** Where keys are looked up: `ControlStore.apiKeys`. */
export interface KeyLookup {
  /** The keys with this prefix that are not revoked, each with its client's epoch. */
  byPrefix(prefix: string): KeyCredential[];
}

interface KnownKey {
  digest: Uint8Array;
  /** When its use was noted last, in milliseconds since 1970. */
  notedAt: number;
  epoch: number;
  /** Milliseconds since 1970, or Infinity. */
  expiresAt: number;
  principal: Principal;
}

interface UnknownKey {
  digest: Uint8Array;
  /** In monotonic milliseconds. */
  untilMs: number;
}

export interface AuthenticatorDeps {
  keys: KeyLookup;
  epochs: EpochBook;
  digester: KeyDigester;
  hash: KeyHash;
  clock: Clock;
  /** Told of a key's use, once a minute at most. */
  noteUse?: (keyId: KeyId, at: number) => void;
}

export class Authenticator {
  readonly #deps: AuthenticatorDeps;
  readonly #known: LRUCache<bigint, KnownKey>;
  readonly #unknown: LRUCache<bigint, UnknownKey>;

  constructor(deps: AuthenticatorDeps, options: { knownMax?: number; unknownMax?: number } = {}) {
    this.#deps = deps;
    this.#known = new LRUCache({ max: options.knownMax ?? KNOWN_MAX });
    this.#unknown = new LRUCache({ max: options.unknownMax ?? UNKNOWN_MAX });
  }

  /** Throws `unauthenticated`, with one text whatever the reason. */
  authenticate(presented: string): Principal {
    if (!isApiKey(presented)) throw new AppError('unauthenticated');
    const { hash, digester, epochs, clock } = this.#deps;
    const slot = hash(presented);
    const digest = digester.digest(presented);
    const known = this.#known.get(slot);
    const now = clock.now();
    if (
      known !== undefined &&
      timingSafeEqual(known.digest, digest) &&
      known.epoch === epochs.current(known.principal.clientId) &&
      now < known.expiresAt
    ) {
      if (now - known.notedAt >= NOTED_EVERY_MS) this.#noteUse(known, now);
      return known.principal;
    }
    return this.#lookUp(presented, slot, digest);
  }

  /** Raised with everything that takes a right of the client's keys away. */
  epochOf(clientId: ClientId): number {
    return this.#deps.epochs.current(clientId);
  }

  /**
   * Whether a key that begins like this one is known, or holds. Random keys never do. Says no more,
   * and computes no digest.
   */
  mayHold(presented: string): boolean {
    if (!isApiKey(presented)) return false;
    const { hash, keys } = this.#deps;
    return this.#known.has(hash(presented)) || keys.byPrefix(prefixOf(presented)).length > 0;
  }

  /**
   * To be called after a key was created or has come to hold again: it may have been tried, and
   * noted as unknown, before.
   */
  keyCreated(): void {
    this.#unknown.clear();
  }

  /** To be called after the transaction that raised a client's epoch has committed. */
  epochRaised(clientId: ClientId, epoch: number): void {
    this.#deps.epochs.raise(clientId, epoch);
  }

  #lookUp(presented: string, slot: bigint, digest: Buffer): Principal {
    const { keys, epochs, clock } = this.#deps;
    const nowMs = clock.monotonicMs();
    const unknown = this.#unknown.get(slot);
    if (
      unknown !== undefined &&
      nowMs < unknown.untilMs &&
      timingSafeEqual(unknown.digest, digest)
    ) {
      throw new AppError('unauthenticated');
    }
    const found = matching(keys.byPrefix(prefixOf(presented)), digest);
    // A copy of its own: the digest is a slice of Node's pool, and would keep 64 KiB of it.
    const kept = new Uint8Array(digest);
    const expiresAt = found?.expiresAt ?? Number.POSITIVE_INFINITY;
    if (found === undefined || clock.now() >= expiresAt) {
      this.#unknown.set(slot, { digest: kept, untilMs: nowMs + UNKNOWN_TTL_MS });
      throw new AppError('unauthenticated');
    }
    const { digest: _, expiresAt: endsAt, epoch, ...rights } = found;
    const namespace = homeOf(rights.namespaces);
    const principal = Object.freeze({ ...rights, endsAt, namespace });
    epochs.raise(principal.clientId, epoch);
    const known = { digest: kept, notedAt: 0, epoch, expiresAt, principal };
    this.#noteUse(known, clock.now());
    this.#known.set(slot, known);
    return principal;
  }

  #noteUse(known: KnownKey, now: number): void {
    known.notedAt = now;
    this.#deps.noteUse?.(known.principal.keyId, now);
  }
}

/** Compares with every candidate, so that the time does not tell which one matched. */
function matching(candidates: KeyCredential[], digest: Buffer): KeyCredential | undefined {
  let found: KeyCredential | undefined;
  for (const candidate of candidates) {
    if (timingSafeEqual(candidate.digest, digest)) found = candidate;
  }
  return found;
}
