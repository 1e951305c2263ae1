/** `PUT /collections/{collection}` */
import Type from 'typebox';
import { endpoint } from '../../endpoint.ts';
import { OptimizersConfig, PayloadStorage } from '../../request-schemas.ts';
import { closedObject, nullable, Unchecked } from '../../validation.ts';

/** See `data-plane/parse-collection.ts` for what is kept, what is a hint and what is refused. */
const Body = closedObject({
  vectors: Unchecked,
  hnsw_config: Unchecked,
  shard_number: nullable(Type.Integer({ minimum: 1 })),
  sharding_method: nullable(Type.String()),
  replication_factor: nullable(Type.Integer({ minimum: 1 })),
  write_consistency_factor: nullable(Type.Integer({ minimum: 1 })),
  quantization_config: Unchecked,
  sparse_vectors: Unchecked,
  strict_mode_config: Unchecked,
  metadata: Unchecked,
  // Hints about storage.
  on_disk_payload: nullable(Type.Boolean()),
  payload: PayloadStorage,
  optimizers_config: OptimizersConfig,
  wal_config: nullable(
    closedObject({
      wal_capacity_mb: Unchecked,
      wal_segments_ahead: Unchecked,
      wal_retain_closed: Unchecked,
    }),
  ),
});

export const createCollection = endpoint({
  method: 'PUT',
  url: '/collections/:collection',
  kind: 'write',
  needs: 'collections:manage',
  body: Body,
  async run({ collections }, { owner, collection, body, deadline, out }) {
    await collections.create(owner, collection, body, deadline);
    out.value(true);
  },
});
