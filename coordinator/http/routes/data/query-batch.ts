/** `POST /collections/{collection}/points/query/batch`: several queries at once. */
import Type from 'typebox';
import { LIMITS } from '../../../../shared/domain/limits.ts';
import { endpoint } from '../../endpoint.ts';
import { Query } from '../../request-schemas.ts';
import { closedObject } from '../../validation.ts';

const Body = closedObject({
  searches: Type.Array(Query, { maxItems: LIMITS.batchQueriesMax }),
});

export const queryBatch = endpoint({
  method: 'POST',
  url: '/collections/:collection/points/query/batch',
  kind: 'read',
  needs: 'points:search',
  body: Body,
  run: ({ queries }, call) => queries.queryBatch(call, call.body.searches),
});
