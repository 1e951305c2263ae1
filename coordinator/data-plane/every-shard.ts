import type { CollectionRecord, ShardPlacement } from '../store/collections.ts';

/**
 * Asks all shards of a collection at once and waits for all of them, so that nothing is under way
 * any more when it has ended: what follows a failure would meet it. Throws what the first shard
 * threw that failed, by ordinal.
 */
export async function everyShard<T>(
  { shards }: Pick<CollectionRecord, 'shards'>,
  ask: (shard: ShardPlacement) => Promise<T>,
): Promise<T[]> {
  const outcomes = await Promise.allSettled(shards.map(ask));
  return outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}
