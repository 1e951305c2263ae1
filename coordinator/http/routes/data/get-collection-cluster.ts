/** `GET /collections/{collection}/cluster`: where its shards and their copies are. */
import { bodylessEndpoint } from '../../endpoint.ts';

export const getCollectionCluster = bodylessEndpoint({
  method: 'GET',
  url: '/collections/:collection/cluster',
  kind: 'read',
  needs: 'collections:read',
  async run({ clusterInfo }, { owner, collection, deadline, out }) {
    out.value(await clusterInfo.ofCollection(owner, collection, deadline));
  },
});
