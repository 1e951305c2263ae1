/** `GET /collections/{collection}/points/{id}` */
import { bodylessEndpoint } from '../../endpoint.ts';

export const getPoint = bodylessEndpoint({
  method: 'GET',
  url: '/collections/:collection/points/:id',
  kind: 'read',
  needs: 'points:read',
  run: ({ queries }, call) => queries.point(call, call.id),
});
