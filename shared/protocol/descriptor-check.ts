import { Compile } from 'typebox/compile';
import type { ShardDescriptor } from '../domain/collection.ts';
import { ShardDescriptorSchema } from './schema.ts';

const descriptor = Compile(ShardDescriptorSchema);

/** Whether a value from outside has the shape of a shard's descriptor. */
export function isShardDescriptor(value: unknown): value is ShardDescriptor {
  return descriptor.Check(value);
}
