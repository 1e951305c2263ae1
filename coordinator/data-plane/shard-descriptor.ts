import type { ShardDescriptor } from '../../shared/domain/collection.ts';
import type { CollectionRecord } from '../store/collections.ts';
import { soleShard } from './sole-shard.ts';

/** What a worker is told of a collection's shard. */
export function descriptorOf(record: CollectionRecord): ShardDescriptor {
  const { shardId, ordinal } = soleShard(record);
  return {
    shardId,
    collectionId: record.collectionId,
    place: {
      clientId: record.clientId,
      mode: record.mode,
      namespace: record.namespace,
      collection: record.name,
      generation: record.generation,
      ordinal,
    },
    config: record.config,
    payloadIndexes: record.payloadIndexes,
  };
}
