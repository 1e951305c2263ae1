/** `POST /admin/v1/clients/{id}/suspend {"reason"}`: 200 with the client, whose keys are refused. */
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import type { ClientAdmin } from '../../../control-plane/clients.ts';
import { viewClient } from '../../admin-views.ts';
import { sendVersioned } from '../../etag.ts';
import { originOf } from '../../origin.ts';
import { closedObject, type SchemaValue } from '../../validation.ts';

const Params = closedObject({ id: Type.String() });
const Body = closedObject({ reason: Type.String() });

export function suspendClient(server: FastifyInstance, clients: ClientAdmin): void {
  server.post<{ Params: SchemaValue<typeof Params>; Body: SchemaValue<typeof Body> }>(
    '/admin/v1/clients/:id/suspend',
    { schema: { params: Params, body: Body } },
    async (request, reply) => {
      const client = clients.suspend(originOf(request), request.params.id, request.body.reason);
      return sendVersioned(reply, client.version, viewClient(client));
    },
  );
}
