/**
 * Opens a shard: the image if there is a usable one, corrected by the rows; else all rows.
 *
 *   image ok ------> labels that no longer exist are removed, newer rows replayed --+
 *   absent/refused -> empty index, every row added ---------------------------------+--> payload
 *                                                                                    indexes --> open
 *
 * `points.db` decides: an image that is ahead of it (an older copy of the database was put back)
 * is refused like one that fails its checksum. One that lacks levellings is brought level from the
 * version down to which these wrote. The graph of what was replayed is linked later;
 * until then those points are scanned exactly, so the shard answers at once and rightly.
 */
import type { ShardDescriptor } from '../../shared/domain/collection.ts';
import { PayloadIndexes } from '../filter/payload-indexes.ts';
import { readImage } from '../image/read-image.ts';
import { removeImage } from '../image/write-image.ts';
import { openIndex } from '../index/open-index.ts';
import type { VectorIndex } from '../index/vector-index.ts';
import type { Levelled } from '../points/points-reader.ts';
import type { ReaderOf } from './evaluate.ts';
import { GuardedIndex } from './guarded-index.ts';
import { emptyIndex, fillFields, replayRows, staleLabels, vectorsFrom } from './rebuild.ts';
import { Shard, type ShardDeps } from './shard.ts';
import type { ImageState } from './shard-image.ts';
import { Slices } from './slices.ts';
import { ShardState } from './state.ts';

interface OpenedIndex {
  index: VectorIndex;
  /** Of the image it came from; version 0 without one. */
  image: ImageState;
  /** Rows up to this version are in it. */
  since: number;
  /** Why there was no image to use. */
  reason?: string;
}

interface Rows extends Levelled {
  version: number;
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
  const rows = { version, ...reader().levelled() };
  const { index, image, since, reason } = await openFromImage(folder, descriptor, rows, shardDeps);
  const { shardId } = descriptor;
  const { log } = deps;
  const guarded = new GuardedIndex(index, { shardId, log });
  const level = await levelWithRows(guarded, { image, since }, reader, slices).catch(
    async (error: unknown) => {
      // What led to the trap may be in the image: the next try does without.
      if (guarded.trapped) await removeImage(folder);
      throw error;
    },
  );

  const payloads = new PayloadIndexes(descriptor.payloadIndexes);
  if (payloads.size > 0) await fillFields(payloads, Object.keys(payloads.fields), reader, slices);

  const { levellings } = rows;
  const parts = { descriptor, index: guarded, payloads, appliedVersion: version, levellings };
  const state = new ShardState(parts);
  state.removedCount = level.removed;
  const points = index.count;
  const ms = deps.clock.monotonicMs() - startMs;
  if (reason !== undefined) log.event('shard_rebuilt', { shardId, reason, points, ms });
  const source = image.version > 0 ? 'image' : 'rows';
  log.event('shard_opened', { shardId, source, points, replayed: level.replayed, version, ms });
  return new Shard(shardDeps, { folder, state, image });
}

/** Brings an index level with the rows. */
async function levelWithRows(
  index: VectorIndex,
  { image, since }: Pick<OpenedIndex, 'image' | 'since'>,
  reader: ReaderOf,
  slices: Slices,
): Promise<{ replayed: number; removed: number }> {
  let removed = 0;
  const replayed = await replayRows(since, reader, slices, (row) => {
    if (index.has(row.label)) removed += 1;
    index.add(row.label, row.vector);
  });
  if (image.version === 0) return { replayed, removed };
  for (const label of await staleLabels(index, reader, slices)) {
    index.remove(label);
    removed += 1;
  }
  return { replayed, removed };
}

async function openFromImage(
  folder: string,
  descriptor: ShardDescriptor,
  rows: Rows,
  deps: ShardDeps,
): Promise<OpenedIndex> {
  const { vector, hnsw } = descriptor.config;
  const read = await readImage(folder, { shardId: descriptor.shardId, ...vector });
  const empty = () => {
    const none = { version: 0, levellings: 0 };
    return { index: emptyIndex(descriptor, deps.indexOptions), image: none, since: 0 };
  };
  if (read.kind === 'absent') return empty();
  if (read.kind === 'refused') return refuse(read.reason);
  try {
    const image = { version: read.appliedVersion, levellings: read.levellings };
    const isNewer = image.version > rows.version || image.levellings > rows.levellings;
    if (isNewer) return refuse('it is newer than the rows');
    const index = await openIndex({ ...vector, hnsw }, deps.indexOptions, read.sections);
    const hasAll = image.levellings === rows.levellings;
    return {
      index,
      image,
      since: Math.min(image.version, hasAll ? image.version : rows.replayFloor),
    };
  } catch (error) {
    return refuse(error instanceof Error ? error.message : 'unknown');
  } finally {
    await read.release();
  }

  function refuse(reason: string): OpenedIndex {
    deps.log.event('image_refused', { shardId: descriptor.shardId, reason });
    return { ...empty(), reason };
  }
}
