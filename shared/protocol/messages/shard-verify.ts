import { closed } from '../schema.ts';

/**
 * Whether the shard's database is sound as a whole, its counters included: an empty reply, or
 * `shard_damaged`. Takes a millisecond a megabyte, in a thread of its own.
 */
export const shardVerify = {
  number: 8,
  writes: false,
  request: closed({}),
  reply: closed({}),
};
