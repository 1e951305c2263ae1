import Type from 'typebox';
import {
  closed,
  FilterSchema,
  PayloadSelectorSchema,
  PointIdSchema,
  RecordsSchema,
} from '../schema.ts';

/** A page of points in the order of their ids, from `offset` on; `next` starts the next page. */
export const pointsScroll = {
  number: 22,
  writes: false,
  request: closed({
    filter: Type.Optional(FilterSchema),
    offset: Type.Optional(PointIdSchema),
    limit: Type.Integer({ minimum: 1 }),
    payload: PayloadSelectorSchema,
    withVector: Type.Boolean(),
  }),
  reply: closed({
    records: RecordsSchema,
    next: Type.Union([PointIdSchema, Type.Null()]),
    /** When any: rows that were read to hold the filter against their payloads. */
    examined: Type.Optional(Type.Integer({ minimum: 1 })),
  }),
};
