import { closed, PointsSelectorSchema, WrittenSchema } from '../schema.ts';

/** Deletes points; ids that are not there are passed over. */
export const pointsDelete = {
  number: 11,
  writes: true,
  request: closed({ points: PointsSelectorSchema }),
  reply: WrittenSchema,
};
