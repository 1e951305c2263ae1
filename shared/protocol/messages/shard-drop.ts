import { closed, ShardPlaceSchema } from '../schema.ts';

/**
 * Erases the shard named in the frame. The place says where its folder must be, so that data whose
 * description was lost is erased too. Dropping a shard that is not there succeeds.
 */
export const shardDrop = {
  number: 2,
  writes: true,
  request: closed({ place: ShardPlaceSchema }),
  reply: closed({}),
};
