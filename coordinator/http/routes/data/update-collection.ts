/**
 * `PATCH /collections/{collection}`: HNSW parameters, and how many copies and shards there are. A graph
 * of other parameters is made in the background; until it is, searches are exact. So are copies: until
 * one more holds what the others hold, it is not read from. And so are other shards: until they are
 * filled, those that are there serve.
 */
import Type from 'typebox';
import { endpoint } from '../../endpoint.ts';
import { OptimizersConfig, PayloadStorage } from '../../request-schemas.ts';
import { closedObject, nullable, Unchecked } from '../../validation.ts';

const Body = closedObject({
  vectors: Unchecked,
  hnsw_config: Unchecked,
  params: nullable(
    closedObject({
      replication_factor: nullable(Type.Integer({ minimum: 1 })),
      write_consistency_factor: nullable(Type.Integer({ minimum: 1 })),
      // Beside the dialect.
      shard_number: nullable(Type.Integer({ minimum: 1 })),
      read_fan_out_factor: nullable(Type.Integer({ minimum: 0 })),
      read_fan_out_delay_ms: nullable(Type.Integer({ minimum: 0 })),
      on_disk_payload: nullable(Type.Boolean()),
      payload: PayloadStorage,
    }),
  ),
  quantization_config: Unchecked,
  sparse_vectors: Unchecked,
  strict_mode_config: Unchecked,
  metadata: Unchecked,
  optimizers_config: OptimizersConfig,
});

export const updateCollection = endpoint({
  method: 'PATCH',
  url: '/collections/:collection',
  kind: 'write',
  needs: 'collections:manage',
  body: Body,
  async run({ collections }, { owner, collection, body, deadline, out }) {
    await collections.update(owner, collection, body, deadline);
    out.value(true);
  },
});
