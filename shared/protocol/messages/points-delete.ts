import { closed, PointsSelectorSchema, WrittenSchema } from '../schema.ts';
import { WRITE_HEAD } from '../write-head.ts';

/**
 * Deletes points; ids that are not there are passed over. Many points are several commits under the
 * one version; an error after the first says so.
 */
export const pointsDelete = {
  number: 11,
  writes: true,
  request: closed({
    ...WRITE_HEAD,
    points: PointsSelectorSchema,
  }),
  reply: WrittenSchema,
};
