/**
 * Addresses that present what is no key, one after the other. Each may do so some times at once
 * and once a second over time; beyond that it waits, unless its key may hold, and no digest is computed.
 */
import { addressGroup } from './address-group.ts';
import type { Buckets, Rate } from './rate-limiter.ts';

const RATE: Rate = { perSecond: 1, burst: 20 };

export class BadKeys {
  readonly #buckets: Buckets<string>;

  constructor(buckets: Buckets<string>) {
    this.#buckets = buckets;
  }

  /** Whether any address is remembered: a look at a number, for each request. */
  get any(): boolean {
    return this.#buckets.size > 0;
  }

  /** How long the address has to wait before it presents a key that is not known; mostly 0. */
  waitMs(address: string): number {
    return this.#buckets.waitMs(addressGroup(address), RATE);
  }

  /** The address has presented one that is none. */
  note(address: string): void {
    this.#buckets.take(addressGroup(address), RATE);
  }
}
