import type { Deadline } from '../../shared/base/deadline.ts';
import type { Cluster } from '../cluster/cluster.ts';
import type { CollectionRecord, ShardPlacement } from '../store/collections.ts';
import { allShards } from './catalog.ts';
import { everyShard } from './every-shard.ts';
import { descriptorOf } from './shard-descriptor.ts';

/**
 * Has all shards take over the record's configuration, those too that are being filled. Answers the
 * highest version that one gave; throws what the first said that failed.
 */
export async function configureShards(
  cluster: Pick<Cluster, 'set'>,
  record: CollectionRecord,
  deadline: Deadline,
): Promise<number> {
  const replies = await everyShard({ shards: allShards(record) }, async (shard) => {
    if (record.filling.includes(shard)) return prepareShard(cluster, record, shard, deadline);
    const body = { descriptor: descriptorOf(record, shard) };
    return cluster.set(shard.shardId).all('shard-configure', body, deadline);
  });
  return Math.max(...replies.map(({ version }) => version));
}

/** The same for one that is being filled, and may not have been made yet. */
export async function prepareShard(
  cluster: Pick<Cluster, 'set'>,
  record: CollectionRecord,
  shard: ShardPlacement,
  deadline: Deadline,
): Promise<{ version: number }> {
  const body = { descriptor: descriptorOf(record, shard) };
  const set = cluster.set(shard.shardId);
  await set.all('shard-create', body, deadline);
  return set.all('shard-configure', body, deadline);
}
