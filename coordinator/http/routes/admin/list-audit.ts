/**
 * `GET /admin/v1/audit?limit&after`: 200 with `{"entries": [...], "next": number or null}`, oldest
 * first; `after` is the number of the entry to continue after.
 */
import type { FastifyInstance } from 'fastify';
import Type from 'typebox';
import type { AuditAdmin } from '../../../control-plane/audit.ts';
import { viewAuditEntry } from '../../admin-views.ts';
import { closedObject, type SchemaValue } from '../../validation.ts';
import { parseLimit } from './page-query.ts';

const Query = closedObject({
  limit: Type.Optional(Type.String({ pattern: '^[0-9]{1,6}$' })),
  after: Type.Optional(Type.String({ pattern: '^[0-9]{1,15}$' })),
});

export function listAudit(server: FastifyInstance, audit: AuditAdmin): void {
  server.get<{ Querystring: SchemaValue<typeof Query> }>(
    '/admin/v1/audit',
    { schema: { querystring: Query } },
    async ({ query }) => {
      const page = audit.list({ after: Number(query.after ?? 0), limit: parseLimit(query.limit) });
      return { entries: page.items.map(viewAuditEntry), next: page.next };
    },
  );
}
