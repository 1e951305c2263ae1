/** `DELETE /collections/{collection}/index/{field_name}`; one that is not there is fine. */
import { bodylessEndpoint } from '../../endpoint.ts';
import { writeUpdated } from '../../write-updated.ts';

export const deleteIndex = bodylessEndpoint({
  method: 'DELETE',
  url: '/collections/:collection/index/:field_name',
  kind: 'write',
  needs: 'collections:manage',
  frees: true,
  async run({ collections }, { owner, collection, fieldName, deadline, out }) {
    writeUpdated(out, await collections.deleteIndex(owner, collection, fieldName, deadline));
  },
});
