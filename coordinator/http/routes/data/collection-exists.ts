/** `GET /collections/{collection}/exists` */
import { bodylessEndpoint } from '../../endpoint.ts';

export const collectionExists = bodylessEndpoint({
  method: 'GET',
  url: '/collections/:collection/exists',
  kind: 'read',
  needs: 'collections:read',
  run({ collections }, { owner, collection, out }) {
    out.value({ exists: collections.exists(owner, collection) });
  },
});
