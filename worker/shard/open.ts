/**
 * Opens a shard: the image if there is a usable one, corrected by the rows; else all rows.
 *
 *   image ok ------> labels that no longer exist are removed, newer rows replayed --+
 *   absent/refused -> empty index, every row added ---------------------------------+--> payload
 *                                                                                    indexes --> open
 *
 * `points.db` decides: an image that is ahead of it (an older copy of the database was put back)
 * is refused like one that fails its checksum. The graph of what was replayed is linked later;
 * until then those points are scanned exactly, so the shard answers at once and rightly.
 */
import type { ShardDescriptor } from '../../shared/domain/collection.ts';
import { PayloadIndexes } from '../filter/payload-indexes.ts';
import { readImage } from '../image/read-image.ts';
import { removeImage } from '../image/write-image.ts';
import { openIndex } from '../index/open-index.ts';
import type { VectorIndex } from '../index/vector-index.ts';
import type { ReaderOf } from './evaluate.ts';
import { GuardedIndex } from './guarded-index.ts';
import { emptyIndex, fillFields, replayRows, staleLabels, vectorsFrom } from './rebuild.ts';
import { Shard, type ShardDeps } from './shard.ts';
import { Slices } from './slices.ts';
import { ShardState } from './state.ts';

interface OpenedIndex {
  index: VectorIndex;
  /** Version of the image it came from; 0 without one. */
  imageVersion: number;
  /** Why there was no image to use. */
  reason?: string;
}

export async function openShard(
  folder: string,
  descriptor: ShardDescriptor,
  deps: ShardDeps,
): Promise<Shard> {
  const startMs = deps.clock.monotonicMs();
  const reader = () => deps.store.reader(folder);
  const shardDeps = {
    ...deps,
    indexOptions: { ...deps.indexOptions, vectorsOf: vectorsFrom(reader) },
  };
  const slices = new Slices(deps.clock);
  const { version } = reader().stats();
  const { index, imageVersion, reason } = await openFromImage(
    folder,
    descriptor,
    version,
    shardDeps,
  );
  const { shardId } = descriptor;
  const { log } = deps;
  const guarded = new GuardedIndex(index, { shardId, log });
  const level = await levelWithRows(guarded, imageVersion, reader, slices).catch(
    async (error: unknown) => {
      // What led to the trap may be in the image: the next try does without.
      if (guarded.trapped) await removeImage(folder);
      throw error;
    },
  );

  const payloads = new PayloadIndexes(descriptor.payloadIndexes);
  if (payloads.size > 0) await fillFields(payloads, Object.keys(payloads.fields), reader, slices);

  const state = new ShardState({ descriptor, index: guarded, payloads, appliedVersion: version });
  state.removedCount = level.removed;
  const points = index.count;
  const ms = deps.clock.monotonicMs() - startMs;
  if (reason !== undefined) log.event('shard_rebuilt', { shardId, reason, points, ms });
  const source = imageVersion > 0 ? 'image' : 'rows';
  log.event('shard_opened', { shardId, source, points, replayed: level.replayed, version, ms });
  return new Shard(shardDeps, { folder, state, imageVersion });
}

/** Brings an index of that version level with the rows. */
async function levelWithRows(
  index: VectorIndex,
  version: number,
  reader: ReaderOf,
  slices: Slices,
): Promise<{ replayed: number; removed: number }> {
  let removed = 0;
  const replayed = await replayRows(version, reader, slices, (row) => {
    if (index.has(row.label)) removed += 1;
    index.add(row.label, row.vector);
  });
  if (version === 0) return { replayed, removed };
  for (const label of await staleLabels(index, reader, slices)) {
    index.remove(label);
    removed += 1;
  }
  return { replayed, removed };
}

async function openFromImage(
  folder: string,
  descriptor: ShardDescriptor,
  rowsVersion: number,
  deps: ShardDeps,
): Promise<OpenedIndex> {
  const { vector, hnsw } = descriptor.config;
  const image = await readImage(folder, { shardId: descriptor.shardId, ...vector });
  const empty = () => ({ index: emptyIndex(descriptor, deps.indexOptions), imageVersion: 0 });
  if (image.kind === 'absent') return empty();
  if (image.kind === 'refused') return refuse(image.reason);
  try {
    if (image.appliedVersion > rowsVersion) return refuse('it is newer than the rows');
    const index = await openIndex({ ...vector, hnsw }, deps.indexOptions, image.sections);
    return { index, imageVersion: image.appliedVersion };
  } catch (error) {
    return refuse(error instanceof Error ? error.message : 'unknown');
  } finally {
    await image.release();
  }

  function refuse(reason: string): OpenedIndex {
    deps.log.event('image_refused', { shardId: descriptor.shardId, reason });
    return { ...empty(), reason };
  }
}
