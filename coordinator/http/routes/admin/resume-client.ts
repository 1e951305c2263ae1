/** `POST /admin/v1/clients/{id}/resume`: 200 with the client, which is active again. */
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import type { ClientAdmin } from '../../../control-plane/clients.ts';
import { viewClient } from '../../admin-views.ts';
import { sendVersioned } from '../../etag.ts';
import { originOf } from '../../origin.ts';
import { closedObject, type SchemaValue } from '../../validation.ts';

const Params = closedObject({ id: Type.String() });

export function resumeClient(server: FastifyInstance, clients: ClientAdmin): void {
  server.post<{ Params: SchemaValue<typeof Params> }>(
    '/admin/v1/clients/:id/resume',
    { schema: { params: Params } },
    async (request, reply) => {
      const client = clients.resume(originOf(request), request.params.id);
      return sendVersioned(reply, client.version, viewClient(client));
    },
  );
}
