/** `POST /collections/{collection}/points/search`: the older form of a query. */
import { endpoint } from '../../endpoint.ts';
import { OldSearch } from '../../request-schemas.ts';

export const searchPoints = endpoint({
  method: 'POST',
  url: '/collections/:collection/points/search',
  kind: 'read',
  needs: 'points:search',
  floatsField: 'vector',
  body: OldSearch,
  run: ({ queries }, call) => queries.oldSearch(call, call.body),
});
