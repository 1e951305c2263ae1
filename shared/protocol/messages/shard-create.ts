import { closed, ShardDescriptorSchema } from '../schema.ts';

/** Makes the shard's folder and files. Repeating it for the same shard changes nothing. */
export const shardCreate = {
  number: 1,
  writes: true,
  request: closed({ descriptor: ShardDescriptorSchema }),
  reply: closed({}),
};
