/**
 * All messages by name. `number` is what the frame carries; numbers are never reused.
 */
import type { Static } from 'typebox';
import { changesApply } from './messages/changes-apply.ts';
import { changesRead } from './messages/changes-read.ts';
import { meterRead } from './messages/meter-read.ts';
import { payloadUpdate } from './messages/payload-update.ts';
import { pointsCount } from './messages/points-count.ts';
import { pointsDelete } from './messages/points-delete.ts';
import { pointsQuery } from './messages/points-query.ts';
import { pointsRetrieve } from './messages/points-retrieve.ts';
import { pointsScroll } from './messages/points-scroll.ts';
import { pointsUpsert } from './messages/points-upsert.ts';
import { rangeApply } from './messages/range-apply.ts';
import { rangeDigest } from './messages/range-digest.ts';
import { rangeRead } from './messages/range-read.ts';
import { shardCensus } from './messages/shard-census.ts';
import { shardConfigure } from './messages/shard-configure.ts';
import { shardCreate } from './messages/shard-create.ts';
import { shardDrop } from './messages/shard-drop.ts';
import { shardFreeze } from './messages/shard-freeze.ts';
import { shardRelease } from './messages/shard-release.ts';
import { shardStatus } from './messages/shard-status.ts';
import { shardUndo } from './messages/shard-undo.ts';
import { shardUsage } from './messages/shard-usage.ts';
import { shardVerify } from './messages/shard-verify.ts';
import { vectorsUpdate } from './messages/vectors-update.ts';
import { workerStatus } from './messages/worker-status.ts';

export const MESSAGES = {
  'shard-create': shardCreate,
  'shard-drop': shardDrop,
  'shard-configure': shardConfigure,
  'shard-status': shardStatus,
  'shard-usage': shardUsage,
  'shard-census': shardCensus,
  'shard-verify': shardVerify,
  'shard-freeze': shardFreeze,
  'shard-release': shardRelease,
  'worker-status': workerStatus,
  'points-upsert': pointsUpsert,
  'points-delete': pointsDelete,
  'vectors-update': vectorsUpdate,
  'payload-update': payloadUpdate,
  'points-query': pointsQuery,
  'points-retrieve': pointsRetrieve,
  'points-scroll': pointsScroll,
  'points-count': pointsCount,
  'changes-read': changesRead,
  'changes-apply': changesApply,
  'range-digest': rangeDigest,
  'range-read': rangeRead,
  'range-apply': rangeApply,
  'shard-undo': shardUndo,
  'meter-read': meterRead,
} as const;

export type MessageName = keyof typeof MESSAGES;
export type Request<Name extends MessageName> = Static<(typeof MESSAGES)[Name]['request']>;
export type Reply<Name extends MessageName> = Static<(typeof MESSAGES)[Name]['reply']>;

type Messages = typeof MESSAGES;
/** Those about the worker itself: their frames name no shard. */
export type WorkerMessageName = {
  [N in MessageName]: Messages[N] extends { aboutWorker: boolean } ? N : never;
}[MessageName];

export function isAboutWorker(name: MessageName): name is WorkerMessageName {
  return 'aboutWorker' in MESSAGES[name];
}

/** The writes of points. */
export type WriteName = Extract<
  MessageName,
  'points-upsert' | 'points-delete' | 'vectors-update' | 'payload-update'
>;

/** A write before it has its version. */
export type Unversioned<N extends WriteName> = Omit<Request<N>, 'version'>;

/** A message's structure with its float section (empty when the message has none). */
export interface WithVectors<T> {
  body: T;
  vectors: Float32Array;
}
