/** `POST /collections/{collection}/points`: points by id. */
import Type from 'typebox';
import { endpoint } from '../../endpoint.ts';
import { ShardKey, View } from '../../request-schemas.ts';
import { closedObject } from '../../validation.ts';

export const retrievePoints = endpoint({
  method: 'POST',
  url: '/collections/:collection/points',
  kind: 'read',
  needs: 'points:read',
  body: closedObject({ ids: Type.Unknown(), ...View, ...ShardKey }),
  run: ({ queries }, call) => queries.retrieve(call, call.body),
});
