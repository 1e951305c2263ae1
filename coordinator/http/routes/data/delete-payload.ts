/** `POST /collections/{collection}/points/payload/delete`: removes keys. */
import { deletePayloadWrite } from '../../../data-plane/writes.ts';
import { endpoint } from '../../endpoint.ts';
import { DeletePayload } from '../../request-schemas.ts';
import { writeUpdated } from '../../write-updated.ts';

export const deletePayload = endpoint({
  method: 'POST',
  url: '/collections/:collection/points/payload/delete',
  kind: 'write',
  needs: 'points:write',
  frees: true,
  body: DeletePayload,
  async run({ writes }, call) {
    writeUpdated(call.out, await writes.run(call, deletePayloadWrite(call.body)));
  },
});
