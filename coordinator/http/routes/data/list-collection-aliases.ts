/** `GET /collections/{collection}/aliases`: there are none. */
import { bodylessEndpoint } from '../../endpoint.ts';

export const listCollectionAliases = bodylessEndpoint({
  method: 'GET',
  url: '/collections/:collection/aliases',
  kind: 'read',
  needs: 'collections:read',
  run({ collections }, { owner, collection, out }) {
    collections.mustExist(owner, collection);
    out.value({ aliases: [] });
  },
});
