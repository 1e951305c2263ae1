/** `GET /admin/v1/clients?limit&after`: 200 with `{"clients": [...], "next": id or null}`. */
import type { FastifyInstance } from 'fastify';
import type { ClientAdmin } from '../../../control-plane/clients.ts';
import { viewClient } from '../../admin-views.ts';
import type { SchemaValue } from '../../validation.ts';
import { PageQuery, parsePageQuery } from './page-query.ts';

export function listClients(server: FastifyInstance, clients: ClientAdmin): void {
  server.get<{ Querystring: SchemaValue<typeof PageQuery> }>(
    '/admin/v1/clients',
    { schema: { querystring: PageQuery } },
    async (request) => {
      const page = clients.list(parsePageQuery(request.query));
      return { clients: page.items.map(viewClient), next: page.next };
    },
  );
}
