import { rm } from 'node:fs/promises';
import path from 'node:path';
import { IMAGE_FILE, IMAGE_PART_PREFIX } from '../image/image.ts';
import { writeImage } from '../image/write-image.ts';
import type { ShardState } from './state.ts';

/**
 * Writes the shard's index beside its rows, or removes an older image when there is no graph; bytes
 * written. `version` was applied before the call:
 * rows that change while the index is copied may be in the image in either state, and are replayed
 * when it is opened, since they are newer than `version`.
 */
export async function saveImage(
  folder: string,
  { index, descriptor }: ShardState,
  version: number,
): Promise<number> {
  if (!index.hasGraph) {
    await rm(path.join(folder, IMAGE_FILE), { force: true });
    return 0;
  }
  const saved = await index.save(path.join(folder, SCRATCH_FILE));
  try {
    const { shardId, config } = descriptor;
    const meta = { shardId, ...config.vector, appliedVersion: version };
    return await writeImage(folder, meta, saved.sections);
  } finally {
    await saved.release();
  }
}

/** Under this prefix, what a crash leaves is removed when the shard is opened. */
const SCRATCH_FILE = `${IMAGE_PART_PREFIX}scratch`;
