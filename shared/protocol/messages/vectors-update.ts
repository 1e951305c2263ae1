import Type from 'typebox';
import { OnceSchema } from '../once.ts';
import { closed, PointIdSchema, UndoableSchema, VersionSchema, WrittenSchema } from '../schema.ts';

/**
 * Replaces the vectors of points that exist, payloads untouched. Float section as in
 * `points-upsert`. An id that is not there fails the whole message with `point_not_found`.
 */
export const vectorsUpdate = {
  number: 12,
  writes: true,
  request: closed({
    version: VersionSchema,
    ids: Type.Array(PointIdSchema),
    names: Type.Array(Type.String()),
    once: Type.Optional(OnceSchema),
    undoable: Type.Optional(UndoableSchema),
  }),
  reply: WrittenSchema,
};
