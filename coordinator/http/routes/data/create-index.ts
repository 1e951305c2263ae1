/** `PUT /collections/{collection}/index`: a payload index; answers when it is filled. */
import { endpoint } from '../../endpoint.ts';
import { closedObject, Unchecked } from '../../validation.ts';
import { writeUpdated } from '../../write-updated.ts';

export const createIndex = endpoint({
  method: 'PUT',
  url: '/collections/:collection/index',
  kind: 'write',
  needs: 'collections:manage',
  body: closedObject({ field_name: Unchecked, field_schema: Unchecked }),
  async run({ collections }, { owner, collection, body, deadline, out }) {
    const index = { field: body.field_name, schema: body.field_schema };
    writeUpdated(out, await collections.createIndex(owner, collection, index, deadline));
  },
});
