/** The part of the admin API that is about bills, as the command line uses it. */
import { parsePage } from './admin-replies.ts';
import {
  type AnomalyRow,
  type BudgetRow,
  type InvoiceRow,
  parseAnomalies,
  parseBudget,
  parseInvoice,
  parseStatement,
  type StatementReply,
} from './billing-replies.ts';

export interface Calls {
  /** The answer as JSON. */
  call(method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, body?: object): Promise<unknown>;
  /** The answer as a table. */
  table(path: string): Promise<string>;
}

export type Wanted = Readonly<Record<string, string | undefined>>;

export class BillingCalls {
  readonly #calls: Calls;

  constructor(calls: Calls) {
    this.#calls = calls;
  }

  async statement(clientId: string, wanted: Wanted): Promise<StatementReply> {
    return parseStatement(await this.#calls.call('GET', statementPath(clientId, wanted)));
  }

  statementTable(clientId: string, wanted: Wanted): Promise<string> {
    return this.#calls.table(statementPath(clientId, wanted));
  }

  /** Final ones by number: all, or a client's. */
  async invoices(clientId: string | undefined): Promise<InvoiceRow[]> {
    const all: InvoiceRow[] = [];
    for (let after: string | null | undefined; after !== null; ) {
      const path: string = `${INVOICES}${queryOf({ client: clientId, after })}`;
      const page = parsePage(await this.#calls.call('GET', path), 'invoices', parseInvoice);
      all.push(...page.items);
      after = page.next;
    }
    return all;
  }

  async invoice(path: InvoicePath): Promise<InvoiceRow> {
    return parseInvoice(await this.#calls.call('GET', invoicePath(path)));
  }

  invoiceTable(path: InvoicePath): Promise<string> {
    return this.#calls.table(invoicePath(path));
  }

  async finalise(clientId: string, month: string): Promise<InvoiceRow> {
    const path = `${invoicePath({ clientId, month })}/finalise`;
    return parseInvoice(await this.#calls.call('POST', path));
  }

  async credit(
    number: string,
    credit: { amount_micros: string; reason: string },
  ): Promise<InvoiceRow> {
    return parseInvoice(
      await this.#calls.call('POST', `${invoicePath({ number })}/credit`, credit),
    );
  }

  /** Hours far outside of a client's history, oldest first: of all clients, or of one. */
  async anomalies(clientId: string | undefined): Promise<AnomalyRow[]> {
    const all: AnomalyRow[] = [];
    for (let after: number | null = 0; after !== null; ) {
      const path: string = `/admin/v1/anomalies${queryOf({ client: clientId, after: String(after) })}`;
      const page = parseAnomalies(await this.#calls.call('GET', path));
      all.push(...page.items);
      after = page.next;
    }
    return all;
  }

  async budget(clientId: string): Promise<BudgetRow> {
    return parseBudget(await this.#calls.call('GET', budgetPath(clientId)));
  }

  async putBudget(clientId: string, budget: object): Promise<BudgetRow> {
    return parseBudget(await this.#calls.call('PUT', budgetPath(clientId), budget));
  }

  async removeBudget(clientId: string): Promise<BudgetRow> {
    return parseBudget(await this.#calls.call('DELETE', budgetPath(clientId)));
  }
}

const INVOICES = '/admin/v1/invoices';

/** One that is final, or that of a client and month. */
export type InvoicePath = { number: string } | { clientId: string; month: string };

function invoicePath(path: InvoicePath): string {
  if ('number' in path) return `${INVOICES}/${encodeURIComponent(path.number)}`;
  return `${clientPath(path.clientId)}/invoices/${encodeURIComponent(path.month)}`;
}

function statementPath(clientId: string, wanted: Wanted): string {
  return `${clientPath(clientId)}/statement${queryOf(wanted)}`;
}

function budgetPath(clientId: string): string {
  return `${clientPath(clientId)}/budget`;
}

function clientPath(clientId: string): string {
  return `/admin/v1/clients/${encodeURIComponent(clientId)}`;
}

function queryOf(wanted: Wanted): string {
  const given = Object.entries(wanted).flatMap(([name, value]) => {
    return value === undefined ? [] : [[name, value] as const];
  });
  return given.length === 0 ? '' : `?${new URLSearchParams(Object.fromEntries(given))}`;
}
