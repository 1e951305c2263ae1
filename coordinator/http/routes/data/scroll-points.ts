/** `POST /collections/{collection}/points/scroll`: a page of points by id. */
import Type from 'typebox';
import { endpoint } from '../../endpoint.ts';
import { ShardKey, View } from '../../request-schemas.ts';
import { closedObject, nullable, Unchecked } from '../../validation.ts';

const Body = closedObject({
  filter: Unchecked,
  offset: Unchecked,
  order_by: Unchecked,
  limit: nullable(Type.Integer({ minimum: 1 })),
  ...View,
  ...ShardKey,
});

export const scrollPoints = endpoint({
  method: 'POST',
  url: '/collections/:collection/points/scroll',
  kind: 'read',
  needs: 'points:read',
  body: Body,
  run: ({ queries }, call) => queries.scroll(call, call.body),
});
