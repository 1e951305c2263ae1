import Type from 'typebox';
import { closed, VersionSchema, WrittenSchema } from '../schema.ts';

/**
 * Takes back all writes with versions above `after`, in one commit: points, what was deleted, and what
 * is known of writes that take effect once are as they were before. The shard's version becomes
 * `upTo`, the last that was given, so that none of those writes can come late.
 *
 * Again it changes nothing. `stale_write` when the shard has a version above `upTo`, `conflict` when
 * a write above `after` was not undoable or is not any more; nothing is changed then.
 */
export const shardUndo = {
  number: 35,
  writes: true,
  request: closed({ after: Type.Integer({ minimum: 0 }), upTo: VersionSchema }),
  reply: WrittenSchema,
};
