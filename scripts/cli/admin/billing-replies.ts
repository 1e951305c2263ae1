/** What the admin API answers of bills; amounts are texts, as they may pass 2^53. */
import { list, number, object, text, textOrNull } from './reply-fields.ts';

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

export interface StatementReply {
  currency: string;
  lines: LineRow[];
  total_micros: string;
}

export function parseLine(value: unknown): LineRow {
  const fields = object(value);
  return {
    item: text(fields, 'item'),
    plan: textOrNull(fields, 'plan'),
    from: text(fields, 'from'),
    until: text(fields, 'until'),
    namespace: textOrNull(fields, 'namespace'),
    key_id: textOrNull(fields, 'key_id'),
    collection: textOrNull(fields, 'collection'),
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
