/** `GET /collections`: the names. Stock clients ask before each operation; it costs a look-up. */
import { bodylessEndpoint } from '../../endpoint.ts';

export const listCollections = bodylessEndpoint({
  method: 'GET',
  url: '/collections',
  kind: 'read',
  needs: 'collections:read',
  run({ collections }, { owner, out }) {
    out.value({ collections: collections.list(owner).map((name) => ({ name })) });
  },
});
