import Type from 'typebox';
import { PageSchema } from '../page.ts';
import { closed, WrittenSchema } from '../schema.ts';

/**
 * Makes the points of a page what the page says, under the versions that it gives, and deletes those
 * that it says are removed; of writes that take effect once it has those of the page in its span. Whatever was there is replaced, so the pages of one round are applied in
 * their order; the same one again changes nothing. In one commit. Float section: one vector a point.
 *
 * The shard's version becomes the highest of its own, those of the page and `lastVersion`, which is
 * that of the source once it has nothing more, else 0; then what is noted of writes (`meter.ts`) is
 * dropped, too. `floor`: see `changes-read`. A page that is
 * not what was sealed fails with `invalid_argument`.
 */
export const changesApply = {
  number: 31,
  writes: true,
  request: closed({
    page: PageSchema,
    floor: Type.Integer({ minimum: 0 }),
    lastVersion: Type.Integer({ minimum: 0 }),
  }),
  reply: WrittenSchema,
};
