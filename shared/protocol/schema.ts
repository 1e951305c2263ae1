/**
 * Schema pieces that several messages share. Messages are MessagePack maps; what is large and
 * uniform (vectors) travels in the frame's float section instead, in the order the message says.
 */
import Type, { type Static, type TSchema } from 'typebox';
import type { ClientId, CollectionId, ShardId } from '../base/ids.ts';
import { ENGINES, PAYLOAD_INDEX_TYPES } from '../domain/collection.ts';
import { DISTANCES } from '../domain/distance.ts';
import type { Filter } from '../domain/filter.ts';
import type { PayloadPath } from '../domain/payload-path.ts';
import type { PointId } from '../domain/point.ts';

/** A closed object: an unknown key is a protocol error. */
export function closed<P extends Record<string, TSchema>>(properties: P) {
  return Type.Object(properties, { additionalProperties: false });
}

/** Raw bytes (MessagePack `bin`). */
export const Bytes = Type.Refine(
  Type.Unsafe<Uint8Array>({ description: 'bytes' }),
  (value: unknown) => value instanceof Uint8Array,
);

/** A point id: integer while exact, 64-bit integer beyond, or UUID text. */
export const PointIdSchema = Type.Unsafe<PointId>(
  Type.Union([Type.Integer({ minimum: 0 }), Type.BigInt(), Type.String({ maxLength: 36 })]),
);

/** Points by the order of their ids, integers before UUIDs: from one on, and before another. */
export const RangeSchema = closed({
  from: Type.Optional(PointIdSchema),
  until: Type.Optional(PointIdSchema),
});
export type Range = Static<typeof RangeSchema>;

/** UTF-8 JSON text of a payload, or null for none. */
export const PayloadSchema = Type.Union([Bytes, Type.Null()]);

/** The coordinator parsed and bounded the filter; the worker checks that it is an object. */
export const FilterSchema = Type.Unsafe<Filter>(Type.Object({}));

export const PathSchema = Type.Unsafe<PayloadPath>(
  Type.Array(Type.Union([Type.String(), Type.Integer(), Type.Literal(true)])),
);

/** Which part of a payload is wanted: all, none, only some keys, or all but some. */
export const PayloadSelectorSchema = Type.Union([
  closed({ kind: Type.Literal('all') }),
  closed({ kind: Type.Literal('none') }),
  closed({ kind: Type.Literal('include'), paths: Type.Array(PathSchema) }),
  closed({ kind: Type.Literal('exclude'), paths: Type.Array(PathSchema) }),
]);
export type PayloadSelector = Static<typeof PayloadSelectorSchema>;

/** Points by id, or all that match a filter. */
export const PointsSelectorSchema = Type.Union([
  closed({ kind: Type.Literal('ids'), ids: Type.Array(PointIdSchema) }),
  closed({ kind: Type.Literal('filter'), filter: FilterSchema }),
]);
export type PointsSelector = Static<typeof PointsSelectorSchema>;

/**
 * Points on their way back. `versions[i]` and `payloads[i]` belong to `ids[i]`; with `vectors`
 * the float section holds one vector a point in the same order.
 */
export const RecordsSchema = closed({
  ids: Type.Array(PointIdSchema),
  versions: Type.Array(Type.Integer({ minimum: 0 })),
  /** Absent when no payload was asked for. */
  payloads: Type.Optional(Type.Array(PayloadSchema)),
  vectors: Type.Boolean(),
});
export type Records = Static<typeof RecordsSchema>;

/** The coordinator's number of a write: those of a shard only grow, and may leave some out. A shard
 * refuses one that is not above its last (`stale_write`), and then nothing was changed. */
export const VersionSchema = Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER });

/** What is newer is left out. */
export const UpToSchema = Type.Optional(Type.Integer({ minimum: 0 }));

/**
 * The write may be undone (`shard-undo`), so what it changes is kept as it was. What writes up to
 * `stable` changed need not be kept any more: they have an outcome.
 */
export const UndoableSchema = closed({ stable: Type.Integer({ minimum: 0 }) });

/** By how much a write may grow its shard; one that would grow it more changes nothing. */
export const RoomSchema = closed({
  points: Type.Integer({ minimum: 0 }),
  bytes: Type.Integer({ minimum: 0 }),
});
export type Room = Static<typeof RoomSchema>;

/**
 * What a filter took: rows that were read to hold it against their payloads, which indexes did not
 * answer for, and rows that were changed.
 */
export const WorkSchema = closed({
  examined: Type.Integer({ minimum: 0 }),
  changed: Type.Integer({ minimum: 0 }),
});
export type Work = Static<typeof WorkSchema>;

/**
 * What every write answers: the version of the shard after it, and what the shard held then.
 * `bytes` are those of vectors (4 a component) and payloads, whatever they take on a disk; `digest`
 * is a sum over ids and versions of the points, below 2^52. Replicas that say the same hold the same.
 */
export const WrittenSchema = closed({
  version: Type.Integer({ minimum: 0 }),
  points: Type.Integer({ minimum: 0 }),
  bytes: Type.Integer({ minimum: 0 }),
  digest: Type.Integer({ minimum: 0 }),
  /** Of a change by filter. */
  work: Type.Optional(WorkSchema),
  /** Of a delete and of a change of payloads: how many points it deleted or changed. */
  changed: Type.Optional(Type.Integer({ minimum: 0 })),
  /** The write had been done before, under this version, and changed nothing now; see `once.ts`. */
  repeated: Type.Optional(VersionSchema),
});
export type Written = Static<typeof WrittenSchema>;

export const PayloadIndexTypeSchema = Type.Enum([...PAYLOAD_INDEX_TYPES]);

/** Where a shard stands; see `ShardPlace`. */
export const ShardPlaceSchema = closed({
  clientId: Type.Unsafe<ClientId>(Type.String()),
  mode: Type.Enum(['live', 'test']),
  namespace: Type.String(),
  collection: Type.String(),
  generation: Type.Integer({ minimum: 1 }),
  ordinal: Type.Integer({ minimum: 0 }),
});

export const ShardDescriptorSchema = closed({
  shardId: Type.Unsafe<ShardId>(Type.String()),
  collectionId: Type.Unsafe<CollectionId>(Type.String()),
  place: ShardPlaceSchema,
  config: closed({
    vector: closed({
      dimension: Type.Integer({ minimum: 1 }),
      distance: Type.Enum([...DISTANCES]),
      onDisk: Type.Optional(Type.Boolean()),
    }),
    hnsw: closed({
      m: Type.Integer(),
      efConstruct: Type.Integer(),
      engine: Type.Optional(Type.Enum([...ENGINES])),
    }),
  }),
  payloadIndexes: Type.Record(Type.String(), PayloadIndexTypeSchema),
});
