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
 * Measured with the kernel on 62,666 x 256 embeddings, recall@10 of four seeds at `ef` 128 and 256:
 *
 *   m 16, efConstruct 128   .983-.986   .992-.995
 *   m 16, efConstruct 200   .988-.991   .994-.998
 *   m 24, efConstruct 200   .994-.996   .996-.999
 *
 * 24 links take 64 bytes more a point, 200 candidates nearly twice as long to link: what real data
 * needs, whatever the seed.
 */
export const HNSW_DEFAULTS: HnswConfig = { m: 24, efConstruct: 200 };

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
