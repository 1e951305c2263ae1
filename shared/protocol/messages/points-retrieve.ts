import Type from 'typebox';
import { closed, PayloadSelectorSchema, PointIdSchema, RecordsSchema } from '../schema.ts';

/** Points by id, in the order asked; those that are not there are left out. */
export const pointsRetrieve = {
  number: 21,
  writes: false,
  request: closed({
    ids: Type.Array(PointIdSchema),
    payload: PayloadSelectorSchema,
    withVector: Type.Boolean(),
  }),
  reply: RecordsSchema,
};
