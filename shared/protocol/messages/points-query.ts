import Type, { type Static } from 'typebox';
import {
  closed,
  FilterSchema,
  PayloadSelectorSchema,
  PointIdSchema,
  RecordsSchema,
} from '../schema.ts';

/** One search. `limit` + `offset` are bounded by `LIMITS.searchHitsMax`. */
export const SearchSchema = closed({
  target: Type.Union([
    /** The next vector of the float section; a point whose vector it is can be left out. */
    closed({ kind: Type.Literal('vector'), exclude: Type.Optional(PointIdSchema) }),
    /** The vector of this point, which is itself left out of the hits. */
    closed({ kind: Type.Literal('point'), id: PointIdSchema }),
    /** No vector: points in the order of their ids, with score 0. */
    closed({ kind: Type.Literal('none') }),
  ]),
  filter: Type.Optional(FilterSchema),
  limit: Type.Integer({ minimum: 1 }),
  offset: Type.Integer({ minimum: 0 }),
  ef: Type.Optional(Type.Integer({ minimum: 1 })),
  exact: Type.Boolean(),
  /** Only hits at least this near. */
  scoreThreshold: Type.Optional(Type.Number()),
  payload: PayloadSelectorSchema,
  withVector: Type.Boolean(),
});
export type Search = Static<typeof SearchSchema>;

/** Hits of one search, nearest first, those with equal scores in the order of their ids. */
export const HitsSchema = closed({ scores: Type.Array(Type.Number()), records: RecordsSchema });

/**
 * Nearest neighbours. A list of searches is one message; the float sections of request and reply
 * hold the vectors of each search in turn.
 */
export const pointsQuery = {
  number: 20,
  writes: false,
  request: closed({ searches: Type.Array(SearchSchema) }),
  reply: closed({
    results: Type.Array(HitsSchema),
    /** When any: rows that were read to hold filters against their payloads. */
    examined: Type.Optional(Type.Integer({ minimum: 1 })),
  }),
};
