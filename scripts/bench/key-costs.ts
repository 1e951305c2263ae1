/** Processor time of one authentication, by what the cache knows of the key. */
import { join } from 'node:path';
import { createApiKey, prefixOf } from '../../coordinator/auth/api-key.ts';
import { Authenticator } from '../../coordinator/auth/authenticator.ts';
import { Epochs } from '../../coordinator/auth/epochs.ts';
import { KeyDigester } from '../../coordinator/auth/key-digest.ts';
import { createKeyHash, type KeyHash } from '../../coordinator/auth/key-hash.ts';
import { ControlStore } from '../../coordinator/store/control-store.ts';
import { systemClock } from '../../shared/base/clock.ts';
import { type ClientId, type KeyId, randomId } from '../../shared/base/ids.ts';
import { secureRandom } from '../../shared/base/random.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Row } from '../cli/output.ts';
import { cpuUs, median } from './index-measures.ts';

const KEYS = 1_000;
/** Fewer than the cache of unknown keys holds. */
const STRANGERS = 500;
const CALLS = 20_000;
const TARGET_US = 10;

interface Case {
  name: string;
  /** The keys of one round, as long as it takes for `calls`. */
  keys(): string[];
  calls: number;
  /** Ask for each once before the measure. */
  primed: boolean;
  target: string;
}

export class KeyCosts {
  readonly #store: ControlStore;
  readonly #authenticator: Authenticator;
  readonly #good: string[];
  #reads = 0;

  private constructor(folder: string, hash: KeyHash) {
    const clock = systemClock;
    const digester = new KeyDigester(secureRandom.bytes(32).toString('base64url'));
    this.#store = ControlStore.open(join(folder, 'keys.db'), { clock });
    const byPrefix = (prefix: string) => {
      this.#reads += 1;
      return this.#store.apiKeys.byPrefix(prefix);
    };
    const deps = { keys: { byPrefix }, epochs: new Epochs(), digester, hash, clock };
    this.#authenticator = new Authenticator(deps);
    const clientId = randomId<ClientId>('cl_', secureRandom.bytes);
    this.#store.clients.create({ clientId, name: 'bench' });
    this.#good = newKeys(KEYS);
    for (const key of this.#good) {
      const keyId = randomId<KeyId>('key_', secureRandom.bytes);
      const secret = { prefix: prefixOf(key), digest: digester.digest(key) };
      const terms = {
        name: 'k',
        role: 'admin',
        namespaces: null,
        requestsPerSecond: null,
      } as const;
      const stored = { keyId, clientId, mode: 'live', secret } as const;
      this.#store.apiKeys.create({ ...stored, ...terms, expiresAt: null });
    }
  }

  static async open(folder: string): Promise<KeyCosts> {
    return new KeyCosts(folder, await createKeyHash(secureRandom.bytes));
  }

  close(): void {
    this.#store.close();
  }

  /** All cases by turns, `rounds` times; the first round only warms up. */
  measure(rounds: number): Row[] {
    const cases = this.#cases();
    const us = cases.map((): number[] => []);
    const reads = cases.map(() => 0);
    for (let round = -1; round < rounds; round += 1) {
      for (const [at, one] of cases.entries()) {
        const keys = one.keys();
        if (one.primed) this.#ask(keys, keys.length);
        this.#reads = 0;
        const spent = cpuUs(() => this.#ask(keys, one.calls));
        if (round >= 0) us[at]?.push(spent / one.calls);
        reads[at] = this.#reads / one.calls;
      }
    }
    return cases.map(({ name, target }, at) => {
      const measured = us[at] ?? [];
      const figures = [median(measured), Math.min(...measured), Math.max(...measured)];
      const [middle, least, most] = figures.map((figure) => Number(figure.toFixed(2)));
      return { key: name, cpu_us: middle, least, most, reads: reads[at], target };
    });
  }

  #cases(): Case[] {
    const strangers = () => newKeys(STRANGERS);
    const wrong = strangers().map((key) => key.slice(0, -1) + (key.endsWith('0') ? '1' : '0'));
    const none = '';
    return [
      {
        ...{ name: 'cached', keys: () => this.#good, calls: CALLS, primed: true },
        target: `<= ${TARGET_US} us`,
      },
      { name: 'unknown, remembered', keys: strangers, calls: CALLS, primed: true, target: none },
      {
        ...{ name: 'unknown, never seen', keys: () => newKeys(CALLS / 4), calls: CALLS / 4 },
        ...{ primed: false, target: 'one read' },
      },
      {
        ...{ name: 'malformed', keys: () => wrong, calls: CALLS, primed: false },
        target: 'no hash, no read',
      },
    ];
  }

  #ask(keys: readonly string[], calls: number): void {
    for (let i = 0; i < calls; i += 1) {
      try {
        this.#authenticator.authenticate(keys[i % keys.length] as string);
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== 'unauthenticated') throw error;
      }
    }
  }
}

function newKeys(count: number): string[] {
  return Array.from({ length: count }, () => createApiKey('live', secureRandom.bytes));
}
