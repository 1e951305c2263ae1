/** `POST /collections/{collection}/points/query`: nearest to a vector or to a point. */
import { endpoint } from '../../endpoint.ts';
import { Query } from '../../request-schemas.ts';

export const queryPoints = endpoint({
  method: 'POST',
  url: '/collections/:collection/points/query',
  kind: 'read',
  needs: 'points:search',
  floatsField: 'query',
  body: Query,
  run: ({ queries }, call) => queries.query(call, call.body),
});
