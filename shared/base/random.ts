/**
 * The only source of chance. `secureRandom` is for secrets and identities; `SeededRandom` is for
 * everything that a test wants to replay (jitter, level draws, generated data).
 */
import { randomBytes, randomUUID } from 'node:crypto';

export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
  /** Uniform integer in [0, bound). */
  below(bound: number): number;
}

export interface SecureRandom extends Random {
  bytes(count: number): Buffer;
  uuid(): string;
}

const TWO_POW_32 = 2 ** 32;

export const secureRandom: SecureRandom = {
  next: () => randomBytes(4).readUInt32LE() / TWO_POW_32,
  below: (bound) => Math.floor(secureRandom.next() * bound),
  bytes: (count) => randomBytes(count),
  uuid: () => randomUUID(),
};

/** Mulberry32 (Tommy Ettinger, 2017): 32 bits of state, period 2^32. Not for secrets. */
export class SeededRandom implements Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / TWO_POW_32;
  }

  below(bound: number): number {
    return Math.floor(this.next() * bound);
  }

  /** Standard normal deviate (Box & Muller, 1958). */
  normal(): number {
    const radius = Math.sqrt(-2 * Math.log(1 - this.next()));
    return radius * Math.cos(2 * Math.PI * this.next());
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }
}
