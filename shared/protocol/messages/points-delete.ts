import Type from 'typebox';
import { OnceSchema } from '../once.ts';
import {
  closed,
  PointsSelectorSchema,
  UndoableSchema,
  VersionSchema,
  WrittenSchema,
} from '../schema.ts';

/**
 * Deletes points; ids that are not there are passed over. Many points are several commits under the
 * one version; an error after the first says so.
 */
export const pointsDelete = {
  number: 11,
  writes: true,
  request: closed({
    version: VersionSchema,
    points: PointsSelectorSchema,
    once: Type.Optional(OnceSchema),
    undoable: Type.Optional(UndoableSchema),
  }),
  reply: WrittenSchema,
};
