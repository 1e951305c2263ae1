import Type from 'typebox';
import { closed } from '../schema.ts';

/** How much the shard holds and whether its graph is complete. */
export const shardStatus = {
  number: 4,
  writes: false,
  request: closed({}),
  reply: closed({
    points: Type.Integer({ minimum: 0 }),
    /** Points linked into the graph; the others are scanned exactly. */
    indexed: Type.Integer({ minimum: 0 }),
    version: Type.Integer({ minimum: 0 }),
    /** `cold`: its files are on the cold disk, and its graph is what it was before. */
    state: Type.Enum(['ready', 'linking', 'cold']),
    /** Points that have a value under each payload index. */
    payloadIndexPoints: Type.Record(Type.String(), Type.Integer({ minimum: 0 })),
    diskBytes: Type.Integer({ minimum: 0 }),
    memoryBytes: Type.Integer({ minimum: 0 }),
  }),
};
