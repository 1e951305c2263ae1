/** What the admin API answers of bills, as JSON Schema; part of `ADMIN_SCHEMAS`. */
import Type, { type TSchema } from 'typebox';
import { LIMITS } from '../../shared/domain/limits.ts';
import { ANOMALY_MEASURES } from '../billing/anomaly.ts';
import { BILLED_ITEMS, ITEM_SPECS, STATEMENT_BY } from '../billing/statement.ts';
import { BUDGET_ACTIONS } from '../store/budgets.ts';
import { INVOICE_KINDS } from '../store/invoices.ts';
import { closedObject, type SchemaValue } from './validation.ts';

const Time = Type.String({ format: 'date-time', description: 'UTC' });
const orNull = (schema: TSchema) => Type.Union([schema, Type.Null()]);
const WHOLE = '^(0|[1-9][0-9]*)$';
const Whole = (description: string) => Type.String({ pattern: WHOLE, description });
const Currency = Type.String({ description: 'ISO 4217' });

const lineOf = {
  item: Type.Enum([...BILLED_ITEMS]),
  plan: orNull(Type.String({ description: 'null: the client had none, nothing is charged' })),
  from: Time,
  until: Time,
};
const amountOf = {
  quantity: Whole('exact, as text: it may pass 2^53'),
  unit: Type.Enum(BILLED_ITEMS.map((item) => ITEM_SPECS[item].unit)),
  unit_price_micros: Type.Integer({ minimum: 0, description: 'millionths, for `per` of the unit' }),
  per: Whole('what the unit price is for'),
  amount_micros: Whole('millionths of the currency, as text'),
};

export const StatementLine = closedObject({
  ...lineOf,
  namespace: orNull(Type.String()),
  key_id: orNull(Type.String()),
  collection: orNull(Type.String()),
  ...amountOf,
});

export const InvoiceLine = closedObject({ ...lineOf, ...amountOf });

export const Statement = closedObject({
  client_id: Type.String(),
  currency: Currency,
  from: Time,
  until: Time,
  by: Type.Enum([...STATEMENT_BY]),
  lines: Type.Array(StatementLine),
  total_micros: Whole('the sum of the lines'),
});

export const Invoice = closedObject({
  invoice: orNull(Type.String({ description: 'its number; null: it is a draft' })),
  kind: Type.Enum([...INVOICE_KINDS]),
  state: Type.Enum(['draft', 'final']),
  client_id: Type.String(),
  client_name: Type.String({ description: 'when it became final' }),
  month: Type.String({ pattern: '^[0-9]{4}-[0-9]{2}$' }),
  currency: Currency,
  issued_at: orNull(Time),
  credits: orNull(Type.String({ description: 'of a credit note, the number of its invoice' })),
  reason: orNull(Type.String()),
  lines: Type.Array(InvoiceLine, {
    description: 'those of earlier months reached the ledger after the invoice of these',
  }),
  total_micros: Whole('the sum of the lines; of a credit note, what is taken back'),
  credited_micros: Whole('what its credit notes come to'),
});

/** Amounts in bodies are texts, as they are in answers. */
export const Amount = Type.String({
  pattern: '^[0-9]{1,30}$',
  form: 'must be millionths of the currency, digits in a text: "2500000"',
});
const Levels = Type.Array(Type.Integer({ minimum: 1, maximum: LIMITS.budgetPercentMax }), {
  maxItems: LIMITS.budgetLevelsMax,
  description: 'percent of which both are told; 50, 80 and 100 unless said',
});
const AtLimit = Type.Enum([...BUDGET_ACTIONS]);

export const BudgetTerms = closedObject({
  amount_micros: Amount,
  levels: Type.Optional(Levels),
  at_limit: Type.Optional(AtLimit),
});

export function parseBudget(body: SchemaValue<typeof BudgetTerms>) {
  const { amount_micros, levels, at_limit: atLimit = 'nothing' } = body;
  return { amountMicros: BigInt(amount_micros), levels, atLimit };
}

export const Budget = closedObject({
  client_id: Type.String(),
  amount_micros: Whole('of a calendar month (UTC), millionths of the currency'),
  levels: Levels,
  at_limit: AtLimit,
  paused: orNull(Type.Enum(['writes', 'all'], { description: 'because it is spent' })),
  this_month: orNull(closedObject({ month: Type.String(), spent_micros: Whole('so far') })),
  version: Type.Integer({ minimum: 1, description: 'raised with each change; the ETag' }),
});

export const Anomaly = closedObject({
  sequence: Type.Integer({ minimum: 1 }),
  client_id: Type.String(),
  hour: Time,
  measure: Type.Enum([...ANOMALY_MEASURES]),
  value: Type.Integer({ minimum: 0, description: 'of the hour; errors per mille of requests' }),
  usual: Type.Integer({ minimum: 0, description: 'in such an hour' }),
  limit: Type.Integer({ minimum: 0, description: 'the bound that was passed' }),
});
