/** `POST /collections/{collection}/points/payload/clear`: removes whole payloads. */
import { clearPayloadWrite } from '../../../data-plane/writes.ts';
import { endpoint } from '../../endpoint.ts';
import { SelectPoints } from '../../request-schemas.ts';
import { writeUpdated } from '../../write-updated.ts';

export const clearPayload = endpoint({
  method: 'POST',
  url: '/collections/:collection/points/payload/clear',
  kind: 'write',
  needs: 'points:write',
  frees: true,
  body: SelectPoints,
  async run({ writes }, call) {
    writeUpdated(call.out, await writes.run(call, clearPayloadWrite(call.body)));
  },
});
