/** `GET /admin/v1/clients/{id}`: 200 with the client. */
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import type { ClientAdmin } from '../../../control-plane/clients.ts';
import { viewClient } from '../../admin-views.ts';
import { sendVersioned } from '../../etag.ts';
import { closedObject, type SchemaValue } from '../../validation.ts';

const Params = closedObject({ id: Type.String() });

export function showClient(server: FastifyInstance, clients: ClientAdmin): void {
  server.get<{ Params: SchemaValue<typeof Params> }>(
    '/admin/v1/clients/:id',
    { schema: { params: Params } },
    async (request, reply) => {
      const client = clients.show(request.params.id);
      return sendVersioned(reply, client.version, viewClient(client));
    },
  );
}
