/** Plans as operators see them. */
import { InvalidInput } from '../../shared/base/invalid.ts';
import { PLAN_DEFAULT } from '../../shared/domain/plan.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Log } from '../../shared/log/log.ts';
import type { Origin } from '../store/admin-audit.ts';
import type { ControlStore } from '../store/control-store.ts';
import type { PlanRecord } from '../store/plans.ts';
import { parseLimits, parsePrices, type Terms } from './plan-terms.ts';
import { checkVersion, type Expected } from './version.ts';

export interface PlanTerms extends Expected {
  limits: Terms;
  prices: Terms;
}

export interface PlanAdminDeps {
  store: Pick<ControlStore, 'plans' | 'audited' | 'afterCommit'>;
  /** Told after each change. */
  limitsChanged: () => void;
  log: Log;
}

const PLAN_ID = /^[a-z][a-z0-9-]{0,31}$/;

export class PlanAdmin {
  readonly #deps: PlanAdminDeps;

  constructor(deps: PlanAdminDeps) {
    this.#deps = deps;
  }

  list(): PlanRecord[] {
    return this.#deps.store.plans.all();
  }

  /** Throws `not_found`. */
  show(planId: string): PlanRecord {
    const plan = this.#deps.store.plans.get(planId);
    if (plan === undefined) throw new AppError('not_found', 'there is no such plan');
    return plan;
  }

  /**
   * Makes a plan or replaces its terms, for its clients at once. Throws `InvalidInput`, or
   * `precondition_failed` when the plan is not at the version that was expected.
   */
  put(origin: Origin, planId: string, terms: PlanTerms): PlanRecord {
    if (!PLAN_ID.test(planId)) {
      throw new InvalidInput('plan', 'must be 1 to 32 of a-z, 0-9 and -, a letter first');
    }
    const limits = parseLimits(terms.limits, 'limits');
    const prices = parsePrices(terms.prices, 'prices');
    const action = 'plan.put';
    const plan = this.#deps.store.audited(origin, () => {
      const found = this.#deps.store.plans.get(planId);
      checkVersion(found, terms);
      const result = this.#deps.store.plans.put({ planId, limits, prices });
      const before = found === undefined ? null : shownOf(found);
      return { action, target: planId, before, after: shownOf(result), result };
    });
    return this.#changed(action, plan);
  }

  /** Throws `not_found`, or `conflict` while clients are on it. */
  remove(origin: Origin, planId: string, expected: Expected): PlanRecord {
    const action = 'plan.remove';
    if (planId === PLAN_DEFAULT) {
      throw new AppError('conflict', 'it is the plan of clients whose operator names none');
    }
    const plan = this.#deps.store.audited(origin, () => {
      const result = this.show(planId);
      checkVersion(result, expected);
      this.#deps.store.plans.remove(planId);
      return { action, target: planId, before: shownOf(result), after: null, result };
    });
    return this.#changed(action, plan);
  }

  #changed(action: string, plan: PlanRecord): PlanRecord {
    const { store, limitsChanged, log } = this.#deps;
    store.afterCommit(() => {
      limitsChanged();
      log.event('plan_changed', { plan: plan.planId, action, version: plan.version });
    });
    return plan;
  }
}

function shownOf({ limits, prices }: PlanRecord): object {
  return { limits, prices };
}
