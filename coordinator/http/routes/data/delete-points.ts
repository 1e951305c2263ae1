/** `POST /collections/{collection}/points/delete`: by ids or by filter. */
import { deleteWrite } from '../../../data-plane/writes.ts';
import { endpoint } from '../../endpoint.ts';
import { SelectPoints } from '../../request-schemas.ts';
import { writeUpdated } from '../../write-updated.ts';

export const deletePoints = endpoint({
  method: 'POST',
  url: '/collections/:collection/points/delete',
  kind: 'write',
  needs: 'points:write',
  frees: true,
  body: SelectPoints,
  async run({ writes }, call) {
    writeUpdated(call.out, await writes.run(call, deleteWrite(call.body)));
  },
});
