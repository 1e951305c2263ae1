/**
 * What a client may cost a month, as the client or an operator chooses: at some percent of it both are told,
 * and when all of it is spent nothing more happens, writes are paused, or everything is.
 *
 * A change is checked at once (`budget-checks.ts`): who raises a budget that is spent is not paused for
 * another minute.
 */
import type { ClientId } from '../../../shared/base/ids.ts';
import { InvalidInput } from '../../../shared/base/invalid.ts';
import { LIMITS } from '../../../shared/domain/limits.ts';
import { AppError } from '../../../shared/errors/app-error.ts';
import type { Origin } from '../../store/admin-audit.ts';
import type { BudgetRecord, BudgetTerms } from '../../store/budgets.ts';
import type { ControlStore } from '../../store/control-store.ts';
import { checkVersion, type Expected } from '../version.ts';
import type { BudgetState } from './budget-checks.ts';

export interface BudgetsDeps {
  store: Pick<ControlStore, 'budgets' | 'audited' | 'clients'>;
  checks: {
    check(clientId: ClientId): Promise<BudgetState>;
    lift(clientId: ClientId): void;
  };
}

export type NewBudget = Expected & Omit<BudgetTerms, 'levels'> & { levels?: number[] | undefined };

const LEVELS_DEFAULT = [50, 80, 100];

/** A budget, and what of it is spent in the month that it is. */
export interface BudgetView extends BudgetRecord {
  state: BudgetState;
}

export class Budgets {
  readonly #deps: BudgetsDeps;

  constructor(deps: BudgetsDeps) {
    this.#deps = deps;
  }

  /** Throws `not_found`. */
  async show(clientId: ClientId): Promise<BudgetView> {
    const state = await this.#deps.checks.check(clientId);
    return { ...this.#of(clientId), state };
  }

  /** Makes or replaces it. Throws `InvalidInput`, `not_found`, `precondition_failed`. */
  async put(origin: Origin, clientId: ClientId, budget: NewBudget): Promise<BudgetView> {
    const { store } = this.#deps;
    const { amountMicros, atLimit, levels = LEVELS_DEFAULT } = budget;
    const terms = { amountMicros, atLimit, levels: parseLevels(levels) };
    if (amountMicros < 1n) throw new InvalidInput('amount_micros', 'must be at least 1');
    store.audited(origin, () => {
      if (store.clients.get(clientId) === undefined) {
        throw new AppError('not_found', 'there is no such client');
      }
      const before = store.budgets.get(clientId);
      checkVersion(before, budget);
      store.budgets.put(clientId, terms);
      const shown = { before: before ? shownOf(before) : null, after: shownOf(terms) };
      return { action: 'budget.put', target: clientId, ...shown, result: undefined };
    });
    return this.show(clientId);
  }

  /** Takes it away, and with it what it has paused. Throws `not_found`, `precondition_failed`. */
  remove(origin: Origin, clientId: ClientId, expected: Expected): BudgetRecord {
    const { store, checks } = this.#deps;
    return store.audited(origin, () => {
      const result = this.#of(clientId);
      checkVersion(result, expected);
      checks.lift(clientId);
      store.budgets.remove(clientId);
      const shown = { before: shownOf(result), after: null };
      return { action: 'budget.remove', target: clientId, ...shown, result };
    });
  }

  #of(clientId: ClientId): BudgetRecord {
    const budget = this.#deps.store.budgets.get(clientId);
    if (budget === undefined) throw new AppError('not_found', 'the client has no budget');
    return budget;
  }
}

/** Ascending, each once. */
function parseLevels(levels: readonly number[]): number[] {
  const { budgetLevelsMax, budgetPercentMax } = LIMITS;
  if (levels.length > budgetLevelsMax) {
    throw new InvalidInput('levels', `may be ${budgetLevelsMax} at most`);
  }
  for (const [index, level] of levels.entries()) {
    if (Number.isInteger(level) && level >= 1 && level <= budgetPercentMax) continue;
    throw new InvalidInput(
      `levels[${index}]`,
      `must be a whole number from 1 to ${budgetPercentMax}`,
    );
  }
  return [...new Set(levels)].sort((a, b) => a - b);
}

function shownOf({ amountMicros, levels, atLimit }: BudgetTerms): object {
  return { amount_micros: String(amountMicros), levels, at_limit: atLimit };
}
