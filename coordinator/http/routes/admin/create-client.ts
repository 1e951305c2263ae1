/** `POST /admin/v1/clients {"name", "plan"?}`: 201 with the client. */
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import type { ClientAdmin } from '../../../control-plane/clients.ts';
import { viewClient } from '../../admin-views.ts';
import { sendVersioned } from '../../etag.ts';
import { originOf } from '../../origin.ts';
import { closedObject, nullable, type SchemaValue } from '../../validation.ts';

const Body = closedObject({ name: Type.String(), plan: nullable(Type.String()) });

export function createClient(server: FastifyInstance, clients: ClientAdmin): void {
  server.post<{ Body: SchemaValue<typeof Body> }>(
    '/admin/v1/clients',
    { schema: { body: Body } },
    async (request, reply) => {
      const { name, plan } = request.body;
      const client = clients.create(originOf(request), { name, planId: plan ?? undefined });
      return sendVersioned(reply.code(201), client.version, viewClient(client));
    },
  );
}
