import { assert, must } from '../../shared/base/assert.ts';
import type { CollectionRecord, ShardPlacement } from '../store/collections.ts';

/** The shard of a collection. There is exactly one until collections can be split. */
export function soleShard(record: CollectionRecord): ShardPlacement {
  assert(record.shards.length === 1, 'a collection has one shard');
  return must(record.shards[0], 'a collection has a shard');
}
