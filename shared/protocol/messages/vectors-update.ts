import Type from 'typebox';
import { closed, PointIdSchema, WrittenSchema } from '../schema.ts';
import { WRITE_HEAD } from '../write-head.ts';

/**
 * Replaces the vectors of points that exist, payloads untouched. Float section as in
 * `points-upsert`. An id that is not there fails the whole message with `point_not_found`.
 */
export const vectorsUpdate = {
  number: 12,
  writes: true,
  request: closed({
    ...WRITE_HEAD,
    ids: Type.Array(PointIdSchema),
    names: Type.Array(Type.String()),
  }),
  reply: WrittenSchema,
};
