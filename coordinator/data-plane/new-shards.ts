import type { ClientId, ShardId, WorkerId } from '../../shared/base/ids.ts';
import type { SecureRandom } from '../../shared/base/random.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { ShardPlacement } from '../store/collections.ts';

export interface NewShardsDeps {
  /** Workers for `count` replicas of each new shard; fewer when there are not so many. */
  placesFor: (clientId: ClientId, shards: readonly ShardId[], count: number) => WorkerId[][];
  random: SecureRandom;
}

/** Shards for a client, each with a place for its replicas. Throws `unavailable` when there is none. */
export function newShards(
  { placesFor, random }: NewShardsDeps,
  clientId: ClientId,
  wanted: { shards: number; replicas: number },
): Omit<ShardPlacement, 'ordinal'>[] {
  const shardIds = Array.from({ length: wanted.shards }, () => random.uuid() as ShardId);
  const places = placesFor(clientId, shardIds, wanted.replicas);
  return shardIds.map((shardId, place) => {
    const workers = places[place] ?? [];
    if (workers.length === 0) {
      const text = 'no worker that may hold this data is connected; try again';
      throw new AppError('unavailable', text);
    }
    const replicaOf = (workerId: WorkerId) => {
      return { workerId, state: 'in_sync', syncedVersion: 0 } as const;
    };
    return { shardId, replicas: workers.map(replicaOf) };
  });
}
