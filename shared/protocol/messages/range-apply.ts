import Type from 'typebox';
import { PageSchema } from '../page.ts';
import { closed, RangeSchema, WrittenSchema } from '../schema.ts';

/**
 * Makes the points of a range those of the page, as `changes-apply` does, and deletes all others in
 * it. Many of those are several commits; sent again it goes on from there. Float section: one vector
 * a point.
 *
 * With `recount`, afterwards what the shard says that it holds is counted from its rows, and memory
 * lets go of what has none: damage may have changed rows without anybody counting. That is a pass over
 * all rows during which nothing else is written.
 */
export const rangeApply = {
  number: 34,
  writes: true,
  request: closed({
    range: RangeSchema,
    page: PageSchema,
    lastVersion: Type.Integer({ minimum: 0 }),
    recount: Type.Boolean(),
  }),
  reply: WrittenSchema,
};
