import { closed } from '../schema.ts';

/**
 * Moves the shard's files to the worker's cold disk and frees its memory. Any message that needs its rows
 * brings them back first (`waking` when that takes longer than its deadline); what the shard holds is
 * answered for without. Repeating it changes nothing. `conflict`: its rows were needed meanwhile.
 */
export const shardFreeze = {
  number: 40,
  writes: false,
  request: closed({}),
  reply: closed({}),
};
