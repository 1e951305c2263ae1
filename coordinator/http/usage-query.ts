/** The query string of a report of usage: `?from=2026-11-01&until=2026-12-01&by=day`. */
import Type from 'typebox';
import { PERIODS } from '../ledger/entries.ts';
import { formedText, type SchemaValue } from './validation.ts';

const Time = formedText('^[0-9TtZz:.+ -]{1,40}$', 'must be a time as in RFC 3339');
const By = Type.Optional(Type.Enum([...PERIODS]));

export const usageQuery = { from: Time, until: Time, by: By };

export function parseUsageQuery(query: {
  from?: SchemaValue<typeof Time>;
  until?: SchemaValue<typeof Time>;
  by?: SchemaValue<typeof By>;
}) {
  const { from, until, by = 'day' } = query;
  return { from, until, by };
}
