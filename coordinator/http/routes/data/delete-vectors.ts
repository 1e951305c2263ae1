/** `POST /collections/{collection}/points/vectors/delete`: refused, in words that say why. */
import { refuseDeleteVectors } from '../../../data-plane/writes.ts';
import { endpoint } from '../../endpoint.ts';
import { DeleteVectors } from '../../request-schemas.ts';

export const deleteVectors = endpoint({
  method: 'POST',
  url: '/collections/:collection/points/vectors/delete',
  kind: 'write',
  needs: 'points:write',
  frees: true,
  body: DeleteVectors,
  run({ collections }, { owner, collection }) {
    collections.mustExist(owner, collection);
    refuseDeleteVectors();
  },
});
