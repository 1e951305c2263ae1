import { closed, WrittenSchema } from '../schema.ts';

/**
 * How much the shard holds once every write that reached the worker before has ended: no write
 * whose outcome is unknown can change the answer any more. A shard that is closed stays closed.
 */
export const shardUsage = {
  number: 5,
  writes: false,
  request: closed({}),
  reply: WrittenSchema,
};
