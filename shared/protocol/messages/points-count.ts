import Type from 'typebox';
import { closed, FilterSchema } from '../schema.ts';

/** How many points match. Without `exact` the answer may be an estimate from payload indexes. */
export const pointsCount = {
  number: 23,
  writes: false,
  request: closed({ filter: Type.Optional(FilterSchema), exact: Type.Boolean() }),
  reply: closed({
    count: Type.Integer({ minimum: 0 }),
    /** When any: rows that were read to hold the filter against their payloads. */
    examined: Type.Optional(Type.Integer({ minimum: 1 })),
  }),
};
