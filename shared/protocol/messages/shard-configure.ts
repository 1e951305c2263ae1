import Type from 'typebox';
import { closed, ShardDescriptorSchema } from '../schema.ts';

/**
 * Replaces what may change in a shard's descriptor (HNSW parameters, payload indexes). Answers
 * when the new payload indexes are filled.
 */
export const shardConfigure = {
  number: 3,
  writes: true,
  request: closed({ descriptor: ShardDescriptorSchema }),
  reply: closed({ version: Type.Integer({ minimum: 0 }) }),
};
