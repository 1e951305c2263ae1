import Type from 'typebox';
import { closed } from '../schema.ts';

const CountSchema = Type.Integer({ minimum: 0 });

/**
 * What a replica holds as it was committed last, and what it takes of its worker. A shard that is closed
 * stays closed, a cold one cold, and nothing is kept open for it: all shards of a worker can be asked in a row.
 */
export const shardCensus = {
  number: 9,
  writes: false,
  request: closed({}),
  reply: closed({
    version: CountSchema,
    points: CountSchema,
    /** Of vectors (4 a component) and payloads, as the quota counts them. */
    bytes: CountSchema,
    /** Of index, payload indexes and kept rows; 0 while the shard is closed or cold. */
    memoryBytes: CountSchema,
    /** Of all files in its folder, and of those on the cold disk. */
    diskBytes: CountSchema,
  }),
};
