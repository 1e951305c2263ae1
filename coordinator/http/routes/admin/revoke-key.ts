/** `DELETE /admin/v1/clients/{id}/keys/{key_id}`: 200 with the revoked key; repeatable. */
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import type { KeyAdmin } from '../../../control-plane/keys.ts';
import { viewKey } from '../../admin-views.ts';
import { originOf } from '../../origin.ts';
import { closedObject, type SchemaValue } from '../../validation.ts';

const Params = closedObject({ id: Type.String(), key_id: Type.String() });

export function revokeKey(server: FastifyInstance, keys: KeyAdmin): void {
  server.delete<{ Params: SchemaValue<typeof Params> }>(
    '/admin/v1/clients/:id/keys/:key_id',
    { schema: { params: Params } },
    async (request) => {
      const { id, key_id } = request.params;
      return viewKey(keys.revoke(originOf(request), { clientId: id, keyId: key_id }));
    },
  );
}
