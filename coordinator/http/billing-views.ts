/**
 * What both APIs show of bills. Quantities and amounts are whole numbers as text: they may pass 2^53, and a
 * JSON parser that makes doubles of numbers would change them unnoticed.
 */
import { formatMonth } from '../billing/months.ts';
import { type BilledLine, ITEM_SPECS, type StatementLine } from '../billing/statement.ts';
import type { BudgetView } from '../control-plane/billing/budgets.ts';
import { lineOf, type Shown } from '../control-plane/billing/invoices.ts';
import type { Statement } from '../control-plane/billing/statements.ts';
import type { AnomalyRecord } from '../store/anomalies.ts';
import type { BudgetRecord } from '../store/budgets.ts';
import type { InvoiceLine } from '../store/invoices.ts';
import { formatHour, timeOrNull } from './admin-views.ts';
import { csvOf } from './csv.ts';

function viewLine(line: StatementLine) {
  const { item, plan, from, until, ...amounts } = viewBilled(line);
  const groups = { namespace: line.namespace, key_id: line.keyId, collection: line.collection };
  return { item, plan, from, until, ...groups, ...amounts };
}

function viewBilled(line: BilledLine) {
  return {
    item: line.item,
    plan: line.planId,
    from: formatHour(line.from),
    until: formatHour(line.until),
    quantity: String(line.quantity),
    unit: ITEM_SPECS[line.item].unit,
    unit_price_micros: line.unitPriceMicros,
    per: String(line.per),
    amount_micros: String(line.amountMicros),
  };
}

export function viewStatement(statement: Statement) {
  return {
    client_id: statement.clientId,
    currency: statement.currency,
    from: formatHour(statement.from),
    until: formatHour(statement.until),
    by: statement.by,
    lines: statement.lines.map(viewLine),
    total_micros: String(statement.totalMicros),
  };
}

const LINE_COLUMNS = [
  'item',
  'plan',
  'from',
  'until',
  'namespace',
  'key_id',
  'collection',
  'quantity',
  'unit',
  'unit_price_micros',
  'per',
  'amount_micros',
] as const;

export function statementCsv({ lines, currency }: ReturnType<typeof viewStatement>): string {
  return csvOf(
    [...LINE_COLUMNS, 'currency'],
    lines.map((line) => ({ ...line, currency })),
  );
}

/** Of a draft, `invoice` and `issued_at` are null. */
export function viewInvoice({ invoice, creditedMicros }: Shown) {
  const { number, kind, clientId, clientName, month, currency, issuedAt } = invoice;
  return {
    invoice: number,
    kind,
    state: number === null ? 'draft' : 'final',
    client_id: clientId,
    client_name: clientName,
    month: formatMonth(month),
    currency,
    issued_at: timeOrNull(issuedAt),
    credits: invoice.credits,
    reason: invoice.reason,
    lines: invoice.lines.map((line: InvoiceLine | BilledLine) => viewBilled(lineOf(line))),
    total_micros: String(invoice.totalMicros),
    credited_micros: String(creditedMicros),
  };
}

type InvoiceView = ReturnType<typeof viewInvoice>;

const INVOICE_COLUMNS = [
  'invoice',
  'kind',
  'state',
  'month',
  'client_id',
  'client_name',
  'issued_at',
  'credits',
  'reason',
  'total_micros',
  'credited_micros',
  'currency',
] as const;

const BILLED_COLUMNS = LINE_COLUMNS.filter((name) => {
  return name !== 'namespace' && name !== 'key_id' && name !== 'collection';
});

/** Its lines; of a credit note there are none. */
export function invoiceCsv({ lines, invoice, currency }: InvoiceView): string {
  const rows = lines.map((line) => ({ invoice, ...line, currency }));
  return csvOf(['invoice', ...BILLED_COLUMNS, 'currency'], rows);
}

/** One line an invoice. */
export function invoicesCsv({ invoices }: { invoices: readonly InvoiceView[] }): string {
  return csvOf(INVOICE_COLUMNS, invoices);
}

/** Of one that was removed, `this_month` is null. */
export function viewBudget(budget: BudgetView | BudgetRecord) {
  const { clientId, amountMicros, levels, atLimit, paused, version } = budget;
  return {
    client_id: clientId,
    amount_micros: String(amountMicros),
    levels,
    at_limit: atLimit,
    paused,
    this_month: 'state' in budget ? viewSpent(budget) : null,
    version,
  };
}

function viewSpent({ state: { month, spentMicros } }: BudgetView) {
  return { month: formatMonth(month), spent_micros: String(spentMicros) };
}

export function viewAnomaly(anomaly: AnomalyRecord) {
  const { sequence, clientId, hour, measure, value, usual, limit } = anomaly;
  return { sequence, client_id: clientId, hour: formatHour(hour), measure, value, usual, limit };
}
