/** `PUT /collections/{collection}/points`: stores points, as a list or as a batch. */
import { upsertWrite } from '../../../data-plane/writes.ts';
import { endpoint } from '../../endpoint.ts';
import { Upsert } from '../../request-schemas.ts';
import { writeUpdated } from '../../write-updated.ts';

export const upsertPoints = endpoint({
  method: 'PUT',
  url: '/collections/:collection/points',
  kind: 'write',
  needs: 'points:write',
  body: Upsert,
  async run({ writes }, call) {
    writeUpdated(call.out, await writes.run(call, upsertWrite(call.body)));
  },
});
