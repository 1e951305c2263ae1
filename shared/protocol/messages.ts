/**
 * All messages by name. `number` is what the frame carries; numbers are never reused.
 */
import type { Static } from 'typebox';
import { payloadUpdate } from './messages/payload-update.ts';
import { pointsCount } from './messages/points-count.ts';
import { pointsDelete } from './messages/points-delete.ts';
import { pointsQuery } from './messages/points-query.ts';
import { pointsRetrieve } from './messages/points-retrieve.ts';
import { pointsScroll } from './messages/points-scroll.ts';
import { pointsUpsert } from './messages/points-upsert.ts';
import { shardConfigure } from './messages/shard-configure.ts';
import { shardCreate } from './messages/shard-create.ts';
import { shardDrop } from './messages/shard-drop.ts';
import { shardStatus } from './messages/shard-status.ts';
import { shardUsage } from './messages/shard-usage.ts';
import { vectorsUpdate } from './messages/vectors-update.ts';

export const MESSAGES = {
  'shard-create': shardCreate,
  'shard-drop': shardDrop,
  'shard-configure': shardConfigure,
  'shard-status': shardStatus,
  'shard-usage': shardUsage,
  'points-upsert': pointsUpsert,
  'points-delete': pointsDelete,
  'vectors-update': vectorsUpdate,
  'payload-update': payloadUpdate,
  'points-query': pointsQuery,
  'points-retrieve': pointsRetrieve,
  'points-scroll': pointsScroll,
  'points-count': pointsCount,
} as const;

export type MessageName = keyof typeof MESSAGES;
export type Request<Name extends MessageName> = Static<(typeof MESSAGES)[Name]['request']>;
export type Reply<Name extends MessageName> = Static<(typeof MESSAGES)[Name]['reply']>;

/** A message's structure with its float section (empty when the message has none). */
export interface WithVectors<T> {
  body: T;
  vectors: Float32Array;
}
