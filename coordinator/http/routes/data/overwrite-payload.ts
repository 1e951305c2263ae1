/** `PUT /collections/{collection}/points/payload`: replaces whole payloads. */
import { overwritePayloadWrite } from '../../../data-plane/writes.ts';
import { endpoint } from '../../endpoint.ts';
import { SetPayload } from '../../request-schemas.ts';
import { writeUpdated } from '../../write-updated.ts';

export const overwritePayload = endpoint({
  method: 'PUT',
  url: '/collections/:collection/points/payload',
  kind: 'write',
  needs: 'points:write',
  body: SetPayload,
  async run({ writes }, call) {
    writeUpdated(call.out, await writes.run(call, overwritePayloadWrite(call.body)));
  },
});
