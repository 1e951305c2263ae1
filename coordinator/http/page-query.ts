/** The query string of a listing: `?limit=100&after=ID`. */
import { InvalidInput } from '../../shared/base/invalid.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { formedText, type SchemaValue } from './validation.ts';

export const Limit = formedText('^[0-9]{1,6}$', `must be a number up to ${LIMITS.adminPageMax}`);
const Id = formedText('^(cl|key|wh)_[a-z2-7]{16}$', 'must be the id that "next" gave');

export const pageQuery = { limit: Limit, after: Id };

export function parsePageQuery(query: {
  limit?: SchemaValue<typeof Limit>;
  after?: SchemaValue<typeof Id>;
}) {
  return { limit: parseLimit(query.limit), after: query.after };
}

export function parseLimit(text: string | undefined): number {
  const limit = text === undefined ? LIMITS.adminPageMax : Number(text);
  if (limit < 1 || limit > LIMITS.adminPageMax) {
    throw new InvalidInput('limit', `must be between 1 and ${LIMITS.adminPageMax}`);
  }
  return limit;
}
