/** What the admin API answers of bills; amounts are texts, as they may pass 2^53. */
import { list, number, numberOrNull, object, text, textOrNull } from './reply-fields.ts';

export interface LineRow {
  item: string;
  plan: string | null;
  from: string;
  until: string;
  namespace: string | null;
  key_id: string | null;
  collection: string | null;
  quantity: string;
  unit: string;
  unit_price_micros: number;
  per: string;
  amount_micros: string;
}

/** What a line of an invoice says. */
export type BilledRow = Omit<LineRow, 'namespace' | 'key_id' | 'collection'>;

export interface InvoiceRow {
  /** Its number; null: it is a draft. */
  invoice: string | null;
  kind: string;
  state: string;
  client_id: string;
  client_name: string;
  month: string;
  currency: string;
  issued_at: string | null;
  /** Of a credit note, the number of its invoice. */
  credits: string | null;
  reason: string | null;
  lines: BilledRow[];
  total_micros: string;
  credited_micros: string;
}

export interface StatementReply {
  currency: string;
  lines: LineRow[];
  total_micros: string;
}

function parseLine(value: unknown): LineRow {
  const fields = object(value);
  return {
    ...parseBilled(value),
    namespace: textOrNull(fields, 'namespace'),
    key_id: textOrNull(fields, 'key_id'),
    collection: textOrNull(fields, 'collection'),
  };
}

function parseBilled(value: unknown): BilledRow {
  const fields = object(value);
  return {
    item: text(fields, 'item'),
    plan: textOrNull(fields, 'plan'),
    from: text(fields, 'from'),
    until: text(fields, 'until'),
    quantity: text(fields, 'quantity'),
    unit: text(fields, 'unit'),
    unit_price_micros: number(fields, 'unit_price_micros'),
    per: text(fields, 'per'),
    amount_micros: text(fields, 'amount_micros'),
  };
}

export function parseStatement(value: unknown): StatementReply {
  const fields = object(value);
  return {
    currency: text(fields, 'currency'),
    lines: list(fields, 'lines').map(parseLine),
    total_micros: text(fields, 'total_micros'),
  };
}

export function parseInvoice(value: unknown): InvoiceRow {
  const fields = object(value);
  return {
    invoice: textOrNull(fields, 'invoice'),
    kind: text(fields, 'kind'),
    state: text(fields, 'state'),
    client_id: text(fields, 'client_id'),
    client_name: text(fields, 'client_name'),
    month: text(fields, 'month'),
    currency: text(fields, 'currency'),
    issued_at: textOrNull(fields, 'issued_at'),
    credits: textOrNull(fields, 'credits'),
    reason: textOrNull(fields, 'reason'),
    lines: list(fields, 'lines').map(parseBilled),
    total_micros: text(fields, 'total_micros'),
    credited_micros: text(fields, 'credited_micros'),
  };
}

export interface BudgetRow {
  client_id: string;
  amount_micros: string;
  levels: number[];
  at_limit: string;
  /** What is paused because it is spent. */
  paused: string | null;
  /** Null of one that was removed. */
  this_month: { month: string; spent_micros: string } | null;
}

export function parseBudget(value: unknown): BudgetRow {
  const fields = object(value);
  return {
    client_id: text(fields, 'client_id'),
    amount_micros: text(fields, 'amount_micros'),
    levels: list(fields, 'levels').map(Number),
    at_limit: text(fields, 'at_limit'),
    paused: textOrNull(fields, 'paused'),
    this_month: fields.this_month === null ? null : parseSpent(fields.this_month),
  };
}

function parseSpent(value: unknown): { month: string; spent_micros: string } {
  const fields = object(value);
  return { month: text(fields, 'month'), spent_micros: text(fields, 'spent_micros') };
}

export interface AnomalyRow {
  client_id: string;
  hour: string;
  measure: string;
  value: number;
  usual: number;
  limit: number;
}

export function parseAnomalies(value: unknown): { items: AnomalyRow[]; next: number | null } {
  const fields = object(value);
  const items = list(fields, 'anomalies').map((item): AnomalyRow => {
    const row = object(item);
    return {
      client_id: text(row, 'client_id'),
      hour: text(row, 'hour'),
      measure: text(row, 'measure'),
      value: number(row, 'value'),
      usual: number(row, 'usual'),
      limit: number(row, 'limit'),
    };
  });
  return { items, next: numberOrNull(fields, 'next') };
}
