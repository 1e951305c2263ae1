/**
 * API keys in a `control.db` of their own, and the authenticator in front of it. Every draw comes
 * from the seed, the keys' own characters too, so that a run can be repeated.
 */

import { join } from 'node:path';
import { createApiKey, prefixOf } from '../../coordinator/auth/api-key.ts';
import { Authenticator } from '../../coordinator/auth/authenticator.ts';
import { Epochs } from '../../coordinator/auth/epochs.ts';
import { KeyDigester } from '../../coordinator/auth/key-digest.ts';
import { createKeyHash } from '../../coordinator/auth/key-hash.ts';
import type { Principal } from '../../coordinator/auth/principal.ts';
import { ControlStore } from '../../coordinator/store/control-store.ts';
import { must } from '../../shared/base/assert.ts';
import { ManualClock } from '../../shared/base/clock.ts';
import { type ClientId, type KeyId, randomId } from '../../shared/base/ids.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import type { Mode } from '../../shared/domain/collection.ts';
import { NAMESPACE_DEFAULT } from '../../shared/domain/namespace.ts';
import { ROLES, type Role } from '../../shared/domain/permissions.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import { type Cleanup, cleanUp } from './cleanup.ts';
import { temporaryFolder } from './temporary-folder.ts';

export interface HeldKey {
  key: string;
  principal: Principal;
}

interface KeyRingOptions {
  seed: number;
  /** Bits of the fast hash that are kept; all by default. */
  slotBits?: number;
}

const PEPPER = 'pepper of the tests, of 32 characters and more';
const HASH_BITS = 64;

export class KeyRing {
  readonly clock = new ManualClock();
  readonly random: SeededRandom;
  readonly authenticator: Authenticator;
  /** How often the database was asked for keys. */
  reads = 0;
  readonly #store: ControlStore;
  readonly #digester = new KeyDigester(PEPPER);

  private constructor(folder: string, random: SeededRandom, hash: (key: string) => bigint) {
    this.random = random;
    this.#store = ControlStore.open(join(folder, 'control.db'), { clock: this.clock });
    const byPrefix = (prefix: string) => {
      this.reads += 1;
      return this.#store.apiKeys.byPrefix(prefix);
    };
    this.authenticator = new Authenticator({
      keys: { byPrefix },
      epochs: new Epochs(),
      digester: this.#digester,
      hash,
      clock: this.clock,
    });
  }

  static async open(t: Cleanup, { seed, slotBits = HASH_BITS }: KeyRingOptions): Promise<KeyRing> {
    const random = new SeededRandom(seed);
    const whole = await createKeyHash((count) => bytesOf(random, count));
    const hash = (key: string) => BigInt.asUintN(slotBits, whole(key));
    const ring = new KeyRing(temporaryFolder(t), random, hash);
    cleanUp(t, () => ring.#store.close());
    return ring;
  }

  addClient(clientId = randomId<ClientId>('cl_', this.#bytes)): ClientId {
    this.#store.clients.create({ clientId, name: 'c' });
    return clientId;
  }

  /** A well-formed key that nobody has. */
  newKey(mode: Mode = this.random.pick(['live', 'test'])): string {
    return createApiKey(mode, this.#bytes);
  }

  /** Gives the client a key, `key` when it is named, as the control plane does. */
  addKey(clientId: ClientId, key = this.newKey(), role: Role = this.random.pick(ROLES)): HeldKey {
    const mode: Mode = key.startsWith('bh_live_') ? 'live' : 'test';
    const keyId = randomId<KeyId>('key_', this.#bytes);
    const secret = { prefix: prefixOf(key), digest: this.#digester.digest(key) };
    const rights = { clientId, mode, keyId, role, namespaces: null, requestsPerSecond: null };
    this.#store.apiKeys.create({ ...rights, secret, name: 'k', expiresAt: null });
    this.authenticator.keyCreated();
    return { key, principal: { ...rights, namespace: NAMESPACE_DEFAULT, endsAt: null } };
  }

  revoke({ principal: { clientId, keyId } }: HeldKey): void {
    const record = must(this.#store.apiKeys.get(clientId, keyId), 'the ring made it');
    const { epoch } = this.#store.apiKeys.revoke(record);
    this.authenticator.epochRaised(clientId, epoch);
  }

  /** Whose key this is; undefined when it is refused. */
  ask(key: string): Principal | undefined {
    return principalOf(this.authenticator, key);
  }

  readonly #bytes = (count: number): Uint8Array => bytesOf(this.random, count);
}

/** Whose key this is; undefined when it is refused. */
export function principalOf(
  authenticator: Pick<Authenticator, 'authenticate'>,
  key: string,
): Principal | undefined {
  try {
    return authenticator.authenticate(key);
  } catch (error) {
    if (error instanceof AppError && error.code === 'unauthenticated') return undefined;
    throw error;
  }
}

function bytesOf(random: SeededRandom, count: number): Uint8Array {
  const bytes = new Uint8Array(count);
  for (let i = 0; i < count; i += 1) bytes[i] = random.below(256);
  return bytes;
}
