/** `GET /collections/{collection}`: configuration, counts, payload indexes. */
import { bodylessEndpoint } from '../../endpoint.ts';

export const getCollection = bodylessEndpoint({
  method: 'GET',
  url: '/collections/:collection',
  kind: 'read',
  needs: 'collections:read',
  async run({ collections }, { owner, collection, deadline, out }) {
    out.value(await collections.info(owner, collection, deadline));
  },
});
