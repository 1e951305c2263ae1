import type { ShardDescriptor } from '../../shared/domain/collection.ts';
import type { CollectionRecord, ShardPlacement } from '../store/collections.ts';

/** What a worker is told of one of a collection's shards. */
export function descriptorOf(record: CollectionRecord, shard: ShardPlacement): ShardDescriptor {
  return {
    shardId: shard.shardId,
    collectionId: record.collectionId,
    place: {
      clientId: record.clientId,
      mode: record.mode,
      namespace: record.namespace,
      collection: record.name,
      generation: record.generation,
      ordinal: shard.ordinal,
    },
    config: record.config,
    payloadIndexes: record.payloadIndexes,
  };
}
