/**
 * How much work a client may ask for over time, whatever it asks: beside the rate of its requests,
 * because one legal request may cost as much as thousands. What a unit is says `data-plane/cost.ts`.
 *
 * What a request asks for is taken before it is sent. What only its answer tells, such as how many
 * rows a filter had to look at, is charged afterwards and may leave a debt.
 */
import type { ClientId } from '../../shared/base/ids.ts';
import type { PlanLimits } from '../../shared/domain/plan.ts';
import { RateLimited } from './rate-limited.ts';
import type { Buckets, Rate } from './rate-limiter.ts';

/** Seconds of its rate that a client may save up. */
const BURST_SECONDS = 10;
/** Who costs more passes when this part of what can be saved up is there. */
const ENOUGH = 1 / 4;
/** A debt that takes longer to pay off is remitted down to this. */
const DEBT_SECONDS_MAX = 3_600;

export interface WorkBudgetDeps {
  limitsOf: (clientId: ClientId) => Pick<PlanLimits, 'cost_per_second'>;
  buckets: Buckets<ClientId>;
}

export class WorkBudget {
  readonly #deps: WorkBudgetDeps;

  constructor(deps: WorkBudgetDeps) {
    this.#deps = deps;
  }

  /**
   * Takes what a request costs. One unit is free: the rate of requests bounds what costs no more.
   * Throws `RateLimited`.
   */
  spend(clientId: ClientId, units: number): void {
    if (units <= 1) return;
    const rate = this.#rateOf(clientId);
    const decision = this.#deps.buckets.take(clientId, rate, units);
    if (decision.allowed) return;
    const { perSecond } = rate;
    const text = `this request costs ${units} units of work, and the client has used up its ${perSecond} a second; ask for less at once, or wait as long as Retry-After says`;
    throw new RateLimited(text, { of: 'work', rate, ...decision });
  }

  /** Takes what a request is known to have cost only after it, or gives back; a unit is free. */
  charge(clientId: ClientId, units: number): void {
    if (Math.abs(units) >= 1) this.#deps.buckets.charge(clientId, this.#rateOf(clientId), units);
  }

  #rateOf(clientId: ClientId): Rate {
    const { cost_per_second: perSecond } = this.#deps.limitsOf(clientId);
    const burst = BURST_SECONDS * perSecond;
    return { perSecond, burst, enough: ENOUGH * burst, debtSecondsMax: DEBT_SECONDS_MAX };
  }
}
