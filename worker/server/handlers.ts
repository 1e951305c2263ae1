/**
 * What this worker does for each message. The frame names the shard; everything else is in the
 * body. A handler adds nothing but the way from message to shard.
 */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { LIMITS } from '../../shared/domain/limits.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import { splitVectors } from '../../shared/protocol/named-vectors.ts';
import type { ShardRegistry } from '../shard/registry.ts';
import type { Handlers } from './dispatch.ts';

const NO_VECTORS = new Float32Array(0);

function plain<T>(body: T): { body: T; vectors: Float32Array } {
  return { body, vectors: NO_VECTORS };
}

export function createHandlers(registry: ShardRegistry): Handlers {
  return {
    'shard-create': async (_shardId, { descriptor }) => {
      await registry.create(descriptor);
      return plain({});
    },
    'shard-drop': async (shardId, { place }) => {
      await registry.drop(shardId, place);
      return plain({});
    },
    'shard-configure': async (_shardId, { descriptor }) => {
      return plain({ version: await registry.configure(descriptor) });
    },
    'shard-status': async (shardId) => {
      const shard = await registry.shard(shardId);
      return plain({ ...shard.reads.status(), diskBytes: await diskBytes(shard.folder) });
    },
    'shard-usage': async (shardId) => plain(await registry.usage(shardId)),
    'points-upsert': async (shardId, { ids, names, payloads, room }, floats) => {
      checkBatch(ids.length);
      const shard = await registry.shard(shardId);
      const vectors = splitVectors(names, floats);
      return plain(await shard.upsert(ids, vectors, payloads, room));
    },
    'points-delete': async (shardId, { points }, _vectors, deadline) => {
      const shard = await registry.shard(shardId);
      return plain(await shard.delete(points, deadline));
    },
    'vectors-update': async (shardId, { ids, names }, floats) => {
      checkBatch(ids.length);
      const shard = await registry.shard(shardId);
      const vectors = splitVectors(names, floats);
      return plain(await shard.updateVectors(ids, vectors));
    },
    'payload-update': async (shardId, { points, change, room }, _vectors, deadline) => {
      const shard = await registry.shard(shardId);
      return plain(await shard.updatePayload(points, change, deadline, room));
    },
    'points-query': async (shardId, body, vectors, deadline) => {
      const { reads } = await registry.shard(shardId);
      return reads.query(body, vectors, deadline);
    },
    'points-retrieve': async (shardId, body, _vectors, deadline) => {
      const { reads } = await registry.shard(shardId);
      return reads.retrieve(body, deadline);
    },
    'points-scroll': async (shardId, body, _vectors, deadline) => {
      const { reads } = await registry.shard(shardId);
      return reads.scroll(body, deadline);
    },
    'points-count': async (shardId, { filter, exact }, _vectors, deadline) => {
      const { reads } = await registry.shard(shardId);
      return plain(await reads.count(filter, exact, deadline));
    },
  };
}

/** The coordinator holds callers to the same bound; a frame that exceeds it is not from there. */
function checkBatch(count: number): void {
  if (count > LIMITS.batchPointsMax) {
    throw new AppError('invalid_argument', `a batch has at most ${LIMITS.batchPointsMax} points`);
  }
}

async function diskBytes(folder: string): Promise<number> {
  const names = ['points.db', 'points.db-wal', 'index.img'];
  const sizes = await Promise.allSettled(names.map((name) => stat(path.join(folder, name))));
  return sizes.reduce((sum, size) => sum + (size.status === 'fulfilled' ? size.value.size : 0), 0);
}
