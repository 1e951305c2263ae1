/** Query strings: `?from=2026-11-01&until=2026-12-01&by=namespace&format=csv`, `?after=2026-000120`. */
import Type from 'typebox';
import { STATEMENT_BY } from '../billing/statement.ts';
import { formatQuery } from './csv.ts';
import { Limit, parseLimit } from './page-query.ts';
import { formedText, type SchemaValue } from './validation.ts';

const Time = formedText('^[0-9TtZz:.+ -]{1,40}$', 'must be a time as in RFC 3339');
const By = Type.Optional(Type.Enum([...STATEMENT_BY]));

export const statementQuery = { from: Time, until: Time, by: By, ...formatQuery };

export function parseStatementQuery(query: {
  from?: SchemaValue<typeof Time>;
  until?: SchemaValue<typeof Time>;
  by?: SchemaValue<typeof By>;
}) {
  const { from, until, by = 'none' } = query;
  return { from, until, by };
}

const After = formedText('^[0-9]{4}-[0-9]{6,9}$', 'must be the number that "next" gave');

export const invoicesQuery = { after: After, limit: Limit, ...formatQuery };

export function parseInvoicesQuery(query: {
  after?: SchemaValue<typeof After>;
  limit?: SchemaValue<typeof Limit>;
}) {
  const limit = parseLimit(query.limit);
  return query.after === undefined ? { limit } : { after: query.after, limit };
}
