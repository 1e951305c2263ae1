import Type from 'typebox';
import { MeteredSumSchema } from '../meter.ts';
import { closed } from '../schema.ts';

/**
 * What is noted of writes with versions above `after`, up to and with `upTo` (see `meter.ts`), in sums
 * by key and hour. The notes of a bounded number of writes are answered for: up to the `upTo` of the
 * reply, which is never above the shard's version, for those that no write has may be given again.
 * With `more` there are others. A closed shard stays closed.
 */
export const meterRead = {
  number: 36,
  writes: false,
  request: closed({ after: Type.Integer({ minimum: 0 }), upTo: Type.Integer({ minimum: 0 }) }),
  reply: closed({
    sums: Type.Array(MeteredSumSchema),
    upTo: Type.Integer({ minimum: 0 }),
    more: Type.Boolean(),
  }),
};
