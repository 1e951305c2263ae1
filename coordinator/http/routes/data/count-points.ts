/** `POST /collections/{collection}/points/count`: how many match. */
import Type from 'typebox';
import { endpoint } from '../../endpoint.ts';
import { ShardKey } from '../../request-schemas.ts';
import { closedObject, nullable, Unchecked } from '../../validation.ts';

export const countPoints = endpoint({
  method: 'POST',
  url: '/collections/:collection/points/count',
  kind: 'read',
  needs: 'points:search',
  body: closedObject({ filter: Unchecked, exact: nullable(Type.Boolean()), ...ShardKey }),
  run: ({ queries }, call) => queries.count(call, call.body),
});
