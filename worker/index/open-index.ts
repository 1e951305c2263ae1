import { ENGINE_DEFAULT } from '../../shared/domain/collection.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import { FlatIndex } from './hnswlib/flat-index.ts';
import { GraphIndex } from './hnswlib/graph-index.ts';
import { HnswlibGraph } from './hnswlib/hnswlib-index.ts';
import { fromSections } from './hnswlib/index-sections.ts';
import { KernelIndex } from './kernel/kernel-index.ts';
import type { IndexConfig, IndexOptions, IndexSection, VectorIndex } from './vector-index.ts';

/**
 * The index that was saved as `sections`. Their bytes must have been verified (SHA-256) before:
 * the native code trusts them. Takes over the memory of the sections; a `file` is read, not kept.
 * A graph that was built with other settings is left out, so `link` builds a new one.
 * Throws `AppError('internal')` when the sections are of another index; build from rows then.
 */
export async function openIndex(
  config: IndexConfig,
  options: IndexOptions,
  sections: readonly IndexSection[],
): Promise<VectorIndex> {
  const { distance, hnsw } = config;
  if ((hnsw.engine ?? ENGINE_DEFAULT) === 'kernel') return openKernel(config, options, sections);
  const { table, graph: saved } = fromSections(config, sections);
  if (distance === 'Manhattan' || hnsw.m === 0) return new FlatIndex(config, table);
  const graphConfig = { ...config, distance };
  const usable =
    saved !== undefined && saved.m === hnsw.m && saved.efConstruct === hnsw.efConstruct;
  if (!usable) return new GraphIndex(graphConfig, options, { table, graph: undefined });
  const graph = await HnswlibGraph.read(
    { dimension: config.dimension, distance, ...hnsw, seed: options.seed },
    saved.file,
    saved,
  );
  const orphan = saved.fromGraph.find((label) => label !== 0xffff_ffff && !table.has(label));
  if (orphan !== undefined) {
    graph.dispose();
    return new GraphIndex(graphConfig, options, { table, graph: undefined });
  }
  return new GraphIndex(graphConfig, options, { table, graph });
}

function openKernel(
  config: IndexConfig,
  options: IndexOptions,
  sections: readonly IndexSection[],
): VectorIndex {
  const index = KernelIndex.open(config, options, sections);
  if (index !== undefined) return index;
  throw new AppError('internal', undefined, { detail: 'index sections: not of this kernel' });
}
