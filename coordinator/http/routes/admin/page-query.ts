/** The query string of a listing: `?limit=100&after=ID`. */
import Type from 'typebox';
import { InvalidInput } from '../../../../shared/base/invalid.ts';
import { LIMITS } from '../../../../shared/domain/limits.ts';
import { closedObject, type SchemaValue } from '../../validation.ts';

export const PageQuery = closedObject({
  limit: Type.Optional(Type.String({ pattern: '^[0-9]{1,6}$' })),
  after: Type.Optional(Type.String({ pattern: '^(cl|key)_[a-z2-7]{16}$' })),
});

export function parsePageQuery(query: SchemaValue<typeof PageQuery>) {
  return { limit: parseLimit(query.limit), after: query.after };
}

export function parseLimit(text: string | undefined): number {
  const limit = text === undefined ? LIMITS.adminPageMax : Number(text);
  if (limit < 1 || limit > LIMITS.adminPageMax) {
    throw new InvalidInput('limit', `must be between 1 and ${LIMITS.adminPageMax}`);
  }
  return limit;
}
