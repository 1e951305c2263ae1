import { ENGINE_DEFAULT } from '../../shared/domain/collection.ts';
import { FlatIndex } from './hnswlib/flat-index.ts';
import { GraphIndex } from './hnswlib/graph-index.ts';
import { KernelIndex } from './kernel/kernel-index.ts';
import type { IndexConfig, IndexOptions, VectorIndex } from './vector-index.ts';

/** An empty index. `m` of 0 means, as in Qdrant, that no graph is wanted. */
export function createIndex(config: IndexConfig, options: IndexOptions): VectorIndex {
  const { distance, hnsw } = config;
  if ((hnsw.engine ?? ENGINE_DEFAULT) === 'kernel') return new KernelIndex(config, options);
  if (distance === 'Manhattan' || hnsw.m === 0) return new FlatIndex(config);
  return new GraphIndex({ ...config, distance }, options);
}
