import Type from 'typebox';
import { closed } from '../schema.ts';

/**
 * Lets a shard be opened again that the worker does not serve because opening it ended the process;
 * `released` is false when it is not such a one. To be told twice changes nothing, so it may be sent
 * again when a connection is lost.
 */
export const shardRelease = {
  number: 6,
  writes: false,
  request: closed({}),
  reply: closed({ released: Type.Boolean() }),
};
