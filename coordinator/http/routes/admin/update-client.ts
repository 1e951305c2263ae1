/**
 * `PATCH /admin/v1/clients/{id} {"name"?, "plan"?, "overrides"?}`: 200 with the client. `overrides`
 * replaces all of them. With `If-Match` the client must be at that version.
 */
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import type { ClientAdmin } from '../../../control-plane/clients.ts';
import { viewClient } from '../../admin-views.ts';
import { ifVersion, sendVersioned } from '../../etag.ts';
import { originOf } from '../../origin.ts';
import { closedObject, type SchemaValue } from '../../validation.ts';

const Params = closedObject({ id: Type.String() });
const Body = closedObject({
  name: Type.Optional(Type.String()),
  plan: Type.Optional(Type.String()),
  overrides: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
});

export function updateClient(server: FastifyInstance, clients: ClientAdmin): void {
  server.patch<{ Params: SchemaValue<typeof Params>; Body: SchemaValue<typeof Body> }>(
    '/admin/v1/clients/:id',
    { schema: { params: Params, body: Body } },
    async (request, reply) => {
      const { name, plan, overrides } = request.body;
      const update = { name, planId: plan, overrides, ifVersion: ifVersion(request) };
      const client = clients.update(originOf(request), request.params.id, update);
      return sendVersioned(reply, client.version, viewClient(client));
    },
  );
}
