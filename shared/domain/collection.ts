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

/** What searches the vectors: our own kernel, or hnswlib as the second opinion. */
export const ENGINES = ['kernel', 'hnswlib'] as const;
export type Engine = (typeof ENGINES)[number];

export interface HnswConfig {
  /** Links of a node per upper level; level 0 has twice as many. */
  m: number;
  efConstruct: number;
  /** Collections made before there was a choice do not name one. */
  engine?: Engine;
}

/**
 * Measured on 62,666 x 256 embeddings with the kernel: recall@10 is .986 at `ef` 128 and .994 at
 * 256. Half of `efConstruct` builds in half of the time and ends at .981 and .990; 24 links instead
 * of 16 take 64 bytes more a point and gain nothing (.978 and .988 at `efConstruct` 100).
 */
export const HNSW_DEFAULTS: HnswConfig = { m: 16, efConstruct: 200 };

/** Candidates kept by a graph search when a query does not say. */
export const HNSW_EF_DEFAULT = 128;

export interface VectorConfig {
  dimension: number;
  distance: Distance;
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
  /** Counts the collections of this client that had this name, from 1. */
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
