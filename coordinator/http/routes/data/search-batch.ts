/** `POST /collections/{collection}/points/search/batch`: the older form of a batch. */
import Type from 'typebox';
import { LIMITS } from '../../../../shared/domain/limits.ts';
import { endpoint } from '../../endpoint.ts';
import { OldSearch } from '../../request-schemas.ts';
import { closedObject } from '../../validation.ts';

const Body = closedObject({
  searches: Type.Array(OldSearch, { maxItems: LIMITS.batchQueriesMax }),
});

export const searchBatch = endpoint({
  method: 'POST',
  url: '/collections/:collection/points/search/batch',
  kind: 'read',
  needs: 'points:search',
  body: Body,
  run: ({ queries }, call) => queries.oldSearchBatch(call, call.body.searches),
});
