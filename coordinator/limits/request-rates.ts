/**
 * How many requests a second: of a client, all its keys together, and of a key that has a bound of
 * its own. A request that its key refuses does not count for the client.
 */
import type { ClientId, KeyId } from '../../shared/base/ids.ts';
import type { PlanLimits } from '../../shared/domain/plan.ts';
import type { Buckets, Rate, RateDecision } from './rate-limiter.ts';

/** Who shows which key. */
export interface Caller {
  readonly clientId: ClientId;
  readonly keyId: KeyId;
  /** Of the key alone; null for no bound of its own. */
  readonly requestsPerSecond: number | null;
}

export interface RateState extends RateDecision {
  /** Whose bound it is. */
  of: 'client' | 'key';
  rate: Rate;
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

  /** Takes one request; the states that decided it, the refusing one last. */
  take(caller: Caller, plan: Pick<PlanLimits, 'requests_per_second' | 'burst'>): RateState[] {
    const { clientId, keyId, requestsPerSecond } = caller;
    const states: RateState[] = [];
    if (requestsPerSecond !== null) {
      const rate = { perSecond: requestsPerSecond, burst: KEY_BURST_SECONDS * requestsPerSecond };
      const decision = this.#keys.take(keyId, rate);
      states.push({ of: 'key', rate, ...decision });
      if (!decision.allowed) return states;
    }
    const rate = { perSecond: plan.requests_per_second, burst: plan.burst };
    states.push({ of: 'client', rate, ...this.#clients.take(clientId, rate) });
    return states;
  }
}
