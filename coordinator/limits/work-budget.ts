/**
 * How much work a client may ask for over time, whatever it asks: beside the rate of its requests,
 * because one legal request may cost as much as thousands. What a unit is says `data-plane/cost.ts`.
 *
 * What a request asks for is taken before it is sent. What only its answer tells, such as how many
 * rows a filter had to look at, is charged afterwards and may leave a debt.
 */
import type { ClientId } from '../../shared/base/ids.ts';
import type { PlanLimits } from '../../shared/domain/plan.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import { RateLimited } from './rate-limited.ts';
import type { Buckets, Rate } from './rate-limiter.ts';
import type { Payer } from './tally.ts';

/** Seconds of its rate that a client may save up. */
const BURST_SECONDS = 10;
/** Who costs more passes when this part of what can be saved up is there. */
const ENOUGH = 1 / 4;
/** What a body asks for costs several times what it takes to read it. */
const ASKED_PER_BODY = 8;
/** A debt that takes longer to pay off is remitted down to this. */
const DEBT_SECONDS_MAX = 3_600;

export interface WorkBudgetDeps {
  /** Undefined for a client that was erased meanwhile. */
  limitsOf: (clientId: ClientId) => Pick<PlanLimits, 'cost_per_second'> | undefined;
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
  spend(payer: Payer, units: number): void {
    if (units > 1) this.#take(payer.clientId, units);
    payer.tally.units += units;
  }

  #take(clientId: ClientId, units: number): void {
    const rate = this.#rateOf(clientId);
    if (rate === undefined) throw new AppError('unauthenticated');
    const decision = this.#deps.buckets.take(clientId, rate, units);
    if (decision.allowed) return;
    const { perSecond } = rate;
    const text = `this request costs ${units} units of work, and the client has used up its ${perSecond} a second; ask for less at once, or wait as long as Retry-After says`;
    throw new RateLimited(text, { of: 'work', rate, ...decision });
  }

  /** Takes what a request is known to have cost only after it, or gives back; a unit is free. */
  charge({ clientId, tally }: Payer, units: number): void {
    tally.units += units;
    const rate = Math.abs(units) < 1 ? undefined : this.#rateOf(clientId);
    if (rate !== undefined) this.#deps.buckets.charge(clientId, rate, units);
  }

  /**
   * Takes what a body costs to be received and parsed, if there is as much again and more for what
   * it will ask for: else it would be read and then refused. Throws `RateLimited`.
   */
  admitBody({ clientId, tally }: Payer, units: number): void {
    if (units < 1) return;
    const { buckets } = this.#deps;
    const rate = this.#rateOf(clientId);
    if (rate === undefined) throw new AppError('unauthenticated');
    const { perSecond, burst, enough } = rate;
    const needed = Math.min(units, burst / 2) + Math.min(ASKED_PER_BODY * units, enough);
    const retryAfterMs = buckets.waitMs(clientId, rate, needed);
    if (retryAfterMs === 0) {
      buckets.charge(clientId, rate, units);
      tally.units += units;
      return;
    }
    const text = `a body of this length needs ${Math.ceil(needed)} units of work to be left of the client's ${perSecond} a second; send less at once, or wait as long as Retry-After says`;
    const state = { allowed: false, remaining: 0, resetMs: retryAfterMs, retryAfterMs };
    throw new RateLimited(text, { of: 'work', rate, ...state });
  }

  /** What was owed at another rate is remitted. */
  limitsChanged(): void {
    this.#deps.buckets.clear();
  }

  #rateOf(clientId: ClientId): (Rate & { enough: number }) | undefined {
    const perSecond = this.#deps.limitsOf(clientId)?.cost_per_second;
    if (perSecond === undefined) return undefined;
    const burst = BURST_SECONDS * perSecond;
    return { perSecond, burst, enough: ENOUGH * burst, debtSecondsMax: DEBT_SECONDS_MAX };
  }
}
