import Type from 'typebox';
import { closed, PayloadSchema, PointIdSchema, RoomSchema, WrittenSchema } from '../schema.ts';
import { WRITE_HEAD } from '../write-head.ts';

/**
 * Stores points, replacing those whose ids are there. Float section: for each name one vector a
 * point, in the order of `ids`, prepared for the collection's distance. The ids are distinct.
 * One that does not fit its room fails with `quota_exceeded`.
 */
export const pointsUpsert = {
  number: 10,
  writes: true,
  request: closed({
    ...WRITE_HEAD,
    ids: Type.Array(PointIdSchema),
    names: Type.Array(Type.String()),
    payloads: Type.Array(PayloadSchema),
    room: Type.Optional(RoomSchema),
  }),
  reply: WrittenSchema,
};
