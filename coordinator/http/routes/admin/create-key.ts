/**
 * `POST /admin/v1/clients/{id}/keys {"mode", "name"?, "role"?, "expires_at"?}`: 201 with what may be shown
 * of the key and, this once, the key itself in `key`.
 */
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import { InvalidInput } from '../../../../shared/base/invalid.ts';
import { parseDatetime } from '../../../../shared/domain/datetime.ts';
import { ROLES } from '../../../../shared/domain/permissions.ts';
import type { KeyAdmin } from '../../../control-plane/keys.ts';
import { viewKey } from '../../admin-views.ts';
import { originOf } from '../../origin.ts';
import { closedObject, nullable, type SchemaValue } from '../../validation.ts';

const Params = closedObject({ id: Type.String() });
const Body = closedObject({
  mode: Type.Enum(['live', 'test']),
  name: nullable(Type.String()),
  role: nullable(Type.Enum([...ROLES])),
  expires_at: nullable(Type.String()),
});

export function createKey(server: FastifyInstance, keys: KeyAdmin): void {
  server.post<{ Params: SchemaValue<typeof Params>; Body: SchemaValue<typeof Body> }>(
    '/admin/v1/clients/:id/keys',
    { schema: { params: Params, body: Body } },
    async (request, reply) => {
      const { mode, name, role, expires_at } = request.body;
      const { record, secret } = keys.create(originOf(request), {
        clientId: request.params.id,
        mode,
        name: name ?? 'unnamed',
        role: role ?? undefined,
        expiresAt: parseExpiry(expires_at),
      });
      // The reply holds a secret: no proxy and no browser may keep it.
      reply.header('cache-control', 'no-store');
      return reply.code(201).send({ ...viewKey(record), key: secret });
    },
  );
}

function parseExpiry(text: string | null | undefined): number | undefined {
  if (text === null || text === undefined) return undefined;
  const micros = parseDatetime(text);
  if (micros === undefined) {
    throw new InvalidInput('expires_at', 'must be a date and time like 2030-01-31T00:00:00Z');
  }
  return Math.floor(micros / 1_000);
}
