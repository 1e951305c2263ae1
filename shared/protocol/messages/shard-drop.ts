import { closed } from '../schema.ts';

/** Erases the shard named in the frame. Dropping a shard that is not there succeeds. */
export const shardDrop = { number: 2, writes: true, request: closed({}), reply: closed({}) };
