/**
 * `GET /admin/v1/clients/{id}/keys?limit&after`: 200 with `{"keys": [...], "next": id or null}`,
 * revoked keys too, never a key itself.
 */
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import type { KeyAdmin } from '../../../control-plane/keys.ts';
import { viewKey } from '../../admin-views.ts';
import { closedObject, type SchemaValue } from '../../validation.ts';
import { PageQuery, parsePageQuery } from './page-query.ts';

const Params = closedObject({ id: Type.String() });

export function listKeys(server: FastifyInstance, keys: KeyAdmin): void {
  server.get<{
    Params: SchemaValue<typeof Params>;
    Querystring: SchemaValue<typeof PageQuery>;
  }>(
    '/admin/v1/clients/:id/keys',
    { schema: { params: Params, querystring: PageQuery } },
    async (request) => {
      const page = keys.list({ clientId: request.params.id, ...parsePageQuery(request.query) });
      return { keys: page.items.map(viewKey), next: page.next };
    },
  );
}
