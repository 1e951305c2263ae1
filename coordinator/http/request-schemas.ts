/**
 * Pieces of bodies that several endpoints share. They say which fields there are and the types of
 * the small ones; vectors, filters, ids and payloads are checked by the parsers of `data-plane/`,
 * which read them anyway.
 */
import Type from 'typebox';
import { LIMITS } from '../../shared/domain/limits.ts';
import { closedObject, nullable, Unchecked } from './validation.ts';

/** Shards are chosen by the service; a client can only leave the choice to it. */
export const ShardKey = { shard_key: Type.Optional(Type.Null()) };

export const Limit = nullable(Type.Integer({ minimum: 1, maximum: LIMITS.searchHitsMax }));
const Offset = nullable(Type.Integer({ minimum: 0, maximum: LIMITS.searchHitsMax }));

/** Which parts of the points come back. */
export const View = { with_payload: Unchecked, with_vector: Unchecked };

/** Points by id or by filter. */
export const Selector = { points: Unchecked, filter: Unchecked, ...ShardKey };

/** What needs no setting here is accepted: vectors are float32 and all of them are searched. */
const SearchParams = nullable(
  closedObject({
    hnsw_ef: nullable(Type.Integer({ minimum: 1, maximum: LIMITS.hnswEfMax })),
    exact: nullable(Type.Boolean()),
    indexed_only: nullable(Type.Boolean()),
    quantization: nullable(
      closedObject({ ignore: Unchecked, rescore: Unchecked, oversampling: Unchecked }),
    ),
    acorn: nullable(closedObject({ enable: Unchecked, max_selectivity: Unchecked })),
    idf: Type.Optional(Type.Null()),
  }),
);

const SearchOptions = {
  filter: Unchecked,
  params: SearchParams,
  score_threshold: nullable(Type.Number()),
  limit: Limit,
  offset: Offset,
  ...View,
  ...ShardKey,
};

export const Query = closedObject({
  query: Unchecked,
  using: nullable(Type.String()),
  /** Searches inside searches are not available; an empty list of them is. */
  prefetch: nullable(Type.Array(Type.Unknown(), { maxItems: 0 })),
  lookup_from: Type.Optional(Type.Null()),
  ...SearchOptions,
});

export const OldSearch = closedObject({ vector: Type.Unknown(), ...SearchOptions });

export const Upsert = closedObject({
  points: Unchecked,
  batch: Unchecked,
  update_mode: nullable(Type.Enum(['upsert'])),
  update_filter: Type.Optional(Type.Null()),
  ...ShardKey,
});

export const SelectPoints = closedObject(Selector);
export const SetPayload = closedObject({
  payload: Type.Unknown(),
  key: nullable(Type.String()),
  ...Selector,
});
export const DeletePayload = closedObject({ keys: Type.Unknown(), ...Selector });
export const UpdateVectors = closedObject({
  points: Type.Unknown(),
  update_filter: Type.Optional(Type.Null()),
  ...ShardKey,
});
export const DeleteVectors = closedObject({ vector: Type.Unknown(), ...Selector });

/** When and how to optimise: hints, without effect on any answer. */
export const OptimizersConfig = nullable(
  closedObject({
    deleted_threshold: Unchecked,
    vacuum_min_vector_number: Unchecked,
    default_segment_number: Unchecked,
    max_segment_size: Unchecked,
    memmap_threshold: Unchecked,
    indexing_threshold: Unchecked,
    flush_interval_sec: Unchecked,
    max_optimization_threads: Unchecked,
    prevent_unoptimized: Unchecked,
  }),
);

/** Where payloads are kept: a hint. */
export const PayloadStorage = nullable(closedObject({ memory: Unchecked }));
