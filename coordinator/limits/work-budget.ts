/**
 * How much work a client may ask for over time, whatever it asks: beside the rate of its requests,
 * because one legal request may cost as much as hundreds. What a unit is says `data-plane/cost.ts`.
 */
import type { ClientId } from '../../shared/base/ids.ts';
import type { PlanLimits } from '../../shared/domain/plan.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Buckets } from './rate-limiter.ts';

/** Seconds of its rate that a client may save up: the largest batch of a plan that is not small. */
const BURST_SECONDS = 10;

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
   * Throws `rate_limited`.
   */
  spend(clientId: ClientId, units: number): void {
    if (units <= 1) return;
    const { limitsOf, buckets } = this.#deps;
    const { cost_per_second: perSecond } = limitsOf(clientId);
    const rate = { perSecond, burst: BURST_SECONDS * perSecond };
    const { allowed, retryAfterMs } = buckets.take(clientId, rate, units);
    if (allowed) return;
    const text = `this request costs ${units} units of work, and the client has used up its ${perSecond} a second; ask for less at once, or wait as long as Retry-After says`;
    throw new AppError('rate_limited', text, { retryAfterMs });
  }
}
