/** `GET /cluster`: the workers that hold the caller's collections, by opaque ids. */
import { bodylessEndpoint } from '../../endpoint.ts';

export const getCluster = bodylessEndpoint({
  method: 'GET',
  url: '/cluster',
  kind: 'read',
  needs: 'collections:read',
  run({ clusterInfo }, { owner, out }) {
    out.value(clusterInfo.peers(owner));
  },
});
