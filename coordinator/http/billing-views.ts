/**
 * What both APIs show of bills. Quantities and amounts are whole numbers as text: they may pass 2^53, and a
 * JSON parser that makes doubles of numbers would change them unnoticed.
 */
import { ITEM_SPECS, type StatementLine } from '../billing/statement.ts';
import type { Statement } from '../control-plane/billing/statements.ts';
import { formatHour } from './admin-views.ts';
import { csvOf } from './csv.ts';

export function viewLine(line: StatementLine) {
  return {
    item: line.item,
    plan: line.planId,
    from: formatHour(line.from),
    until: formatHour(line.until),
    namespace: line.namespace,
    key_id: line.keyId,
    collection: line.collection,
    quantity: String(line.quantity),
    unit: ITEM_SPECS[line.item].unit,
    unit_price_micros: line.unitPriceMicros,
    per: String(line.per),
    amount_micros: String(line.amountMicros),
  };
}

export type LineView = ReturnType<typeof viewLine>;

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

export const LINE_COLUMNS = [
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
] as const satisfies readonly (keyof LineView)[];

export function statementCsv({ lines, currency }: ReturnType<typeof viewStatement>): string {
  return csvOf(
    [...LINE_COLUMNS, 'currency'],
    lines.map((line) => ({ ...line, currency })),
  );
}
