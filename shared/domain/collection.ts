/**
 * A collection's configuration and the identity of a shard: what the coordinator records and the
 * worker keeps beside the shard's files.
 */
import type { ClientId, CollectionId, ShardId } from '../base/ids.ts';
import type { Distance } from './distance.ts';

export type Mode = 'live' | 'test';

export const PAYLOAD_INDEX_TYPES = [
  'keyword',
  'integer',
  'float',
  'bool',
  'datetime',
  'text',
  'uuid',
] as const;
export type PayloadIndexType = (typeof PAYLOAD_INDEX_TYPES)[number];

/** What searches the vectors: hnswlib, or a kernel of our own in WebAssembly. */
export const ENGINES = ['kernel', 'hnswlib'] as const;
export type Engine = (typeof ENGINES)[number];
/** Of a collection that names none. */
export const ENGINE_DEFAULT: Engine = 'kernel';

export interface HnswConfig {
  /** Links of a node per upper level; level 0 has twice as many. 0: no graph, every search exact. */
  m: number;
  efConstruct: number;
  engine?: Engine;
}

/**
 * Measured with the kernel on 62,666 x 256 embeddings, recall@10 at `ef` 64, 128 and 256, and points
 * linked in a second of processor time:
 *
 *   efConstruct 100   .964 .983 .993   13,700       128   .970 .985 .995   11,400
 *               200   .973 .987 .996    7,600
 *
 * The step to 128 is worth its time, that to 200 takes as much again for less. 24 links a node take
 * 64 bytes more a point, and with 100 candidates find no more (.977 at 128).
 */
export const HNSW_DEFAULTS: HnswConfig = { m: 16, efConstruct: 128 };

/** Candidates kept by a graph search when a query does not say. */
export const HNSW_EF_DEFAULT = 128;

export interface VectorConfig {
  dimension: number;
  distance: Distance;
  /** Vectors are read from disk where they are compared exactly; memory holds codes and links. */
  onDisk?: boolean;
}

export interface CollectionConfig {
  vector: VectorConfig;
  hnsw: HnswConfig;
}

/** Where a shard stands: every word of it is part of its folder's path. */
export interface ShardPlace {
  clientId: ClientId;
  mode: Mode;
  namespace: string;
  collection: string;
  /** Counts the collections that this client ever had in mode and namespace, from 1. */
  generation: number;
  ordinal: number;
}

export interface ShardDescriptor {
  shardId: ShardId;
  collectionId: CollectionId;
  place: ShardPlace;
  config: CollectionConfig;
  /** Field path (as text) to index type. */
  payloadIndexes: Record<string, PayloadIndexType>;
}
