import Type from 'typebox';
import { type AdminEndpoint, adminEndpoint } from '../../admin-endpoint.ts';
import { AuditEntry, pageSchema } from '../../admin-schemas.ts';
import { viewAuditEntry } from '../../admin-views.ts';
import { Limit, parseLimit } from '../../page-query.ts';
import { closedObject, formedText } from '../../validation.ts';

export const AUDIT_ENDPOINTS: readonly AdminEndpoint[] = [
  adminEndpoint({
    name: 'listAudit',
    help: 'list what operators changed, oldest first',
    method: 'GET',
    url: '/admin/v1/audit',
    query: closedObject({
      limit: Limit,
      after: formedText('^[0-9]{1,15}$', 'must be the number that "next" gave'),
      target: formedText(
        '^[!-~]{1,64}$',
        'must be the id of a client, key or worker, or the name of a plan',
      ),
    }),
    reply: pageSchema('entries', AuditEntry, Type.Integer()),
    run({ audit }, { query }) {
      const { target } = query;
      const limit = parseLimit(query.limit);
      const page = audit.list({ after: Number(query.after ?? 0), limit, target });
      return { entries: page.items.map(viewAuditEntry), next: page.next };
    },
  }),
];
