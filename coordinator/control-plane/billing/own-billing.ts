/**
 * What a client's own keys see and do of its bills. A bill is of the whole client, its live data: so test keys
 * have none, and a key that is bound to namespaces does not see how others divide it.
 */
import { AppError } from '../../../shared/errors/app-error.ts';
import type { Principal } from '../../auth/principal.ts';
import { parseMonth } from '../../billing/months.ts';
import type { StatementBy } from '../../billing/statement.ts';
import type { Payer } from '../../limits/tally.ts';
import type { Origin } from '../../store/admin-audit.ts';
import type { BudgetRecord } from '../../store/budgets.ts';
import type { Page } from '../page.ts';
import type { Budgets, BudgetView, NewBudget } from './budgets.ts';
import type { Invoices, Shown } from './invoices.ts';
import type { Statement, Statements, StatementWanted } from './statements.ts';

export interface OwnBillingDeps {
  statements: Statements;
  invoices: Invoices;
  budgets: Budgets;
  /** Takes units of work. Throws `rate_limited`. */
  spend: (payer: Payer, units: number) => void;
}

/** Of a report: what the ledger's thread reads for one of many years. */
const REPORT_COST = 64;
/** Of one with a line for each day. */
const DAILY_COST = 512;

export class OwnBilling {
  readonly #deps: OwnBillingDeps;

  constructor(deps: OwnBillingDeps) {
    this.#deps = deps;
  }

  /** Throws `forbidden`, what `Statements.report` throws, `rate_limited`. */
  async statement(owner: Principal & Payer, wanted: StatementWanted): Promise<Statement> {
    checkLive(owner);
    checkMayDivide(owner, wanted.by);
    this.#deps.spend(owner, wanted.by === 'day' ? DAILY_COST : REPORT_COST);
    return this.#deps.statements.report(owner.clientId, wanted);
  }

  /** Final ones by number. Throws `forbidden`. */
  listInvoices(owner: Principal, from: { after?: string; limit?: number }): Page<Shown> {
    checkLive(owner);
    return this.#deps.invoices.list({ ...from, clientId: owner.clientId });
  }

  /**
   * The one of that number, or of a month (`2028-02`), then also as a draft. Throws `forbidden`, `not_found`,
   * `InvalidInput`, `rate_limited`.
   */
  async showInvoice(owner: Principal & Payer, name: string): Promise<Shown> {
    checkLive(owner);
    const { invoices, spend } = this.#deps;
    if (parseMonth(name) === undefined) return invoices.show(name, owner.clientId);
    spend(owner, REPORT_COST);
    return invoices.ofMonth(owner.clientId, invoices.monthOf(name));
  }

  /** Throws `forbidden`, `not_found`, `rate_limited`. */
  async showBudget(owner: Principal & Payer): Promise<BudgetView> {
    checkLive(owner);
    this.#deps.spend(owner, REPORT_COST);
    return this.#deps.budgets.show(owner.clientId);
  }

  /** Throws `forbidden`, `rate_limited`, what `Budgets.put` throws. */
  async putBudget(owner: Principal & Payer, budget: NewBudget): Promise<BudgetView> {
    checkLive(owner);
    checkUnbound(owner);
    this.#deps.spend(owner, REPORT_COST);
    return this.#deps.budgets.put(originOf(owner), owner.clientId, budget);
  }

  /** Throws `forbidden`, `not_found`, `rate_limited`. */
  removeBudget(owner: Principal & Payer): BudgetRecord {
    checkLive(owner);
    checkUnbound(owner);
    this.#deps.spend(owner, REPORT_COST);
    return this.#deps.budgets.remove(originOf(owner), owner.clientId, {});
  }
}

function originOf({ keyId, requestId }: Principal & Payer): Origin {
  return { actor: keyId, requestId };
}

function checkLive({ mode }: Principal): void {
  if (mode === 'live') return;
  throw new AppError('forbidden', 'test data is never billed: ask with a live key');
}

function checkMayDivide({ namespaces }: Principal, by: StatementBy): void {
  if (namespaces === null || by === 'none' || by === 'day') return;
  const text = 'a key that is bound to namespaces sees bills by none or day only';
  throw new AppError('forbidden', text);
}

/** What pauses the whole client is not for a key of some of its namespaces. */
function checkUnbound({ namespaces }: Principal): void {
  if (namespaces === null) return;
  throw new AppError('forbidden', 'the budget is for keys that are bound to no namespaces');
}
