/** `POST /admin/v1/clients {"name"}`: 201 with the client. */
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import type { ClientAdmin } from '../../../control-plane/clients.ts';
import { viewClient } from '../../admin-views.ts';
import { closedObject, type SchemaValue } from '../../validation.ts';

const Body = closedObject({ name: Type.String() });

export function createClient(server: FastifyInstance, clients: ClientAdmin): void {
  server.post<{ Body: SchemaValue<typeof Body> }>(
    '/admin/v1/clients',
    { schema: { body: Body } },
    async (request, reply) => {
      const client = clients.create({ name: request.body.name });
      return reply.code(201).send(viewClient(client));
    },
  );
}
