/** `DELETE /collections/{collection}`: true, or false when there is none. */
import { bodylessEndpoint } from '../../endpoint.ts';

export const deleteCollection = bodylessEndpoint({
  method: 'DELETE',
  url: '/collections/:collection',
  kind: 'write',
  needs: 'collections:manage',
  frees: true,
  async run({ collections }, { owner, collection, deadline, out }) {
    out.value(await collections.delete(owner, collection, deadline));
  },
});
