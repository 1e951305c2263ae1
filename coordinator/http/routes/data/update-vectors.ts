/** `PUT /collections/{collection}/points/vectors`: replaces vectors, not payloads. */
import { updateVectorsWrite } from '../../../data-plane/writes.ts';
import { endpoint } from '../../endpoint.ts';
import { UpdateVectors } from '../../request-schemas.ts';
import { writeUpdated } from '../../write-updated.ts';

export const updateVectors = endpoint({
  method: 'PUT',
  url: '/collections/:collection/points/vectors',
  kind: 'write',
  needs: 'points:write',
  body: UpdateVectors,
  async run({ writes }, call) {
    writeUpdated(call.out, await writes.run(call, updateVectorsWrite(call.body)));
  },
});
