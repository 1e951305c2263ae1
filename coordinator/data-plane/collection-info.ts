/**
 * A collection as the dialect describes it. The contract wants settings of an optimizer and of a
 * write-ahead log that this service does not have; they are given as what comes nearest.
 */
import { ENGINE_DEFAULT } from '../../shared/domain/collection.ts';
import type { JsonObject } from '../../shared/domain/point.ts';
import type { Reply } from '../../shared/protocol/messages.ts';
import type { CollectionRecord } from '../store/collections.ts';

type ShardStatus = Reply<'shard-status'>;

/** `statuses`: one a shard. `pointsCopied`: to those that are being filled. */
export function describeCollection(
  record: CollectionRecord,
  statuses: readonly ShardStatus[],
  pointsCopied: number,
): JsonObject {
  const sum = (of: (status: ShardStatus) => number) => {
    return statuses.reduce((total, status) => total + of(status), 0);
  };
  return {
    status: colourOf(statuses),
    optimizer_status: 'ok',
    points_count: sum(({ points }) => points),
    indexed_vectors_count: sum(({ indexed }) => indexed),
    segments_count: record.shards.length,
    config: describeConfig(record),
    payload_schema: describeIndexes(record, sum),
    ...describeResharding(record, pointsCopied),
  };
}

/** Yellow: some points are still found by an exact scan, because the graph lacks them. Grey: it is paused, and
 * the first request brings its data back from the cold disk. */
function colourOf(statuses: readonly ShardStatus[]): 'green' | 'yellow' | 'grey' {
  if (statuses.some(({ state }) => state === 'cold')) return 'grey';
  return statuses.every(({ state }) => state === 'ready') ? 'green' : 'yellow';
}

/** Beside the dialect, and only while it goes on. */
function describeResharding(
  { shards, filling }: CollectionRecord,
  pointsCopied: number,
): JsonObject {
  if (filling.length === 0) return {};
  return {
    resharding: { from: shards.length, to: filling.length, points_copied: pointsCopied },
  };
}

function describeConfig(record: CollectionRecord): JsonObject {
  const { config, shards, filling } = record;
  return {
    params: {
      vectors: {
        size: config.vector.dimension,
        distance: config.vector.distance,
        ...(config.vector.onDisk && { on_disk: true }),
      },
      // What is wanted.
      shard_number: filling.length || shards.length,
      replication_factor: record.replicationFactor,
      write_consistency_factor: record.writeConsistencyFactor,
      on_disk_payload: true,
    },
    hnsw_config: {
      m: config.hnsw.m,
      ef_construct: config.hnsw.efConstruct,
      // In kilobytes of vectors in the dialect, where 0 says: by the service's own measure.
      full_scan_threshold: 0,
      max_indexing_threads: 0,
      on_disk: false,
      // Beside the dialect, as in the request.
      engine: config.hnsw.engine ?? ENGINE_DEFAULT,
    },
    optimizer_config: {
      deleted_threshold: 0.2,
      vacuum_min_vector_number: 1_000,
      default_segment_number: 1,
      flush_interval_sec: 0,
    },
    // Every write is on disk when it is acknowledged.
    wal_config: { wal_capacity_mb: 1, wal_segments_ahead: 0 },
    quantization_config: null,
  };
}

function describeIndexes(
  record: CollectionRecord,
  sum: (of: (status: ShardStatus) => number) => number,
): JsonObject {
  const schema: JsonObject = {};
  for (const [field, type] of Object.entries(record.payloadIndexes)) {
    const points = sum(({ payloadIndexPoints }) => {
      return Object.hasOwn(payloadIndexPoints, field) ? (payloadIndexPoints[field] ?? 0) : 0;
    });
    schema[field] = { data_type: type, points };
  }
  return schema;
}
