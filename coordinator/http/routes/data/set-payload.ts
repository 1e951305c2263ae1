/** `POST /collections/{collection}/points/payload`: sets keys and leaves the others. */
import { setPayloadWrite } from '../../../data-plane/writes.ts';
import { endpoint } from '../../endpoint.ts';
import { SetPayload } from '../../request-schemas.ts';
import { writeUpdated } from '../../write-updated.ts';

export const setPayload = endpoint({
  method: 'POST',
  url: '/collections/:collection/points/payload',
  kind: 'write',
  needs: 'points:write',
  body: SetPayload,
  async run({ writes }, call) {
    writeUpdated(call.out, await writes.run(call, setPayloadWrite(call.body)));
  },
});
