/**
 * How many requests a second: of a client, all its keys together, and of a key that has a bound of
 * its own. A request that either refuses counts for neither.
 */
import type { ClientId, KeyId } from '../../shared/base/ids.ts';
import type { PlanLimits } from '../../shared/domain/plan.ts';
import type { RateState } from './rate-limited.ts';
import type { Buckets, Rate } from './rate-limiter.ts';

/** Who shows which key. */
export interface Caller {
  readonly clientId: ClientId;
  readonly keyId: KeyId;
  /** Of the key alone; null for no bound of its own. */
  readonly requestsPerSecond: number | null;
}

/** Seconds of its rate that a key may save up. */
const KEY_BURST_SECONDS = 2;

export class RequestRates {
  readonly #clients: Buckets<ClientId>;
  readonly #keys: Buckets<KeyId>;

  constructor(buckets: { clients: Buckets<ClientId>; keys: Buckets<KeyId> }) {
    this.#clients = buckets.clients;
    this.#keys = buckets.keys;
  }

  /** Takes one request; the states that decided it, of which one may refuse. */
  take(caller: Caller, plan: Pick<PlanLimits, 'requests_per_second' | 'burst'>): RateState[] {
    const { clientId, keyId, requestsPerSecond } = caller;
    const rate = { perSecond: plan.requests_per_second, burst: plan.burst };
    if (requestsPerSecond === null) return [this.#takeClient(clientId, rate)];
    const own = { perSecond: requestsPerSecond, burst: KEY_BURST_SECONDS * requestsPerSecond };
    if (this.#clients.waitMs(clientId, rate) > 0) return [this.#takeClient(clientId, rate)];
    const key: RateState = { of: 'key', rate: own, ...this.#keys.take(keyId, own) };
    return key.allowed ? [key, this.#takeClient(clientId, rate)] : [key];
  }

  #takeClient(clientId: ClientId, rate: Rate): RateState {
    return { of: 'client', rate, ...this.#clients.take(clientId, rate) };
  }
}
