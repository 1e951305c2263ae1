import Type from 'typebox';
import { PageSchema } from '../page.ts';
import { closed, PointIdSchema, RangeSchema, UpToSchema } from '../schema.ts';

/**
 * Whole points of a range in the order of their ids, as many as fit a page; `next` is the first that
 * was left out, so the page is all there is from the range's beginning to `next`. `version` is that
 * of the shard when it was read. Float section of the reply: one vector a point. A closed shard
 * stays closed. Points that are newer than `upTo` are left out: who copies all ranges would else follow
 * what is written behind the last one meanwhile.
 */
export const rangeRead = {
  number: 33,
  writes: false,
  request: closed({ range: RangeSchema, upTo: UpToSchema }),
  reply: closed({
    page: PageSchema,
    next: Type.Union([PointIdSchema, Type.Null()]),
    version: Type.Integer({ minimum: 0 }),
  }),
};
