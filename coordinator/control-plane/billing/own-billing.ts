/**
 * What a client's own keys see and do of its bills. A bill is of the whole client, its live data: so test keys
 * have none, and a key that is bound to namespaces does not see how others divide it.
 */
import { AppError } from '../../../shared/errors/app-error.ts';
import type { Principal } from '../../auth/principal.ts';
import { parseMonth } from '../../billing/months.ts';
import type { StatementBy } from '../../billing/statement.ts';
import type { Payer } from '../../limits/tally.ts';
import type { Page } from '../page.ts';
import type { Invoices, Shown } from './invoices.ts';
import type { Statement, Statements, StatementWanted } from './statements.ts';

export interface OwnBillingDeps {
  statements: Statements;
  invoices: Invoices;
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
