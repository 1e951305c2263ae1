/** The query string of a statement: `?from=2026-11-01&until=2026-12-01&by=namespace&format=csv`. */
import Type from 'typebox';
import { STATEMENT_BY } from '../billing/statement.ts';
import { formatQuery } from './csv.ts';
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
