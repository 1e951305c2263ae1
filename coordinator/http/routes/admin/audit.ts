import Type from 'typebox';
import { OPERATORS_CHAIN } from '../../../ledger/entries.ts';
import { type AdminEndpoint, adminEndpoint } from '../../admin-endpoint.ts';
import { AuditEntry, AuditExport, AuditKey, pageSchema } from '../../admin-schemas.ts';
import { viewAuditEntry } from '../../admin-views.ts';
import { Limit, parseLimit } from '../../page-query.ts';
import { closedObject, formedText } from '../../validation.ts';

const Sequence = formedText('^[0-9]{1,15}$', 'must be the number of an entry');

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
  adminEndpoint({
    name: 'exportAudit',
    help: "export the operators' audit chain, or a client's, a part at a time",
    method: 'GET',
    url: '/admin/v1/audit/export',
    query: closedObject({
      client: formedText('^cl_[a-z2-7]{16}$', 'must be the id of a client'),
      after: Sequence,
      until: Sequence,
    }),
    reply: AuditExport,
    async run({ auditTrail, clients }, { query: { client, after, until } }) {
      const chain = client === undefined ? OPERATORS_CHAIN : clients.show(client).clientId;
      const end = until === undefined ? undefined : Number(until);
      return auditTrail.exportPart(chain, { after: Number(after ?? 0), until: end });
    },
  }),
  adminEndpoint({
    name: 'showAuditKey',
    help: 'show the key that verifies exports of audit chains',
    method: 'GET',
    url: '/admin/v1/audit/key',
    reply: AuditKey,
    run: ({ auditTrail }) => ({ public_key: auditTrail.publicKey }),
  }),
];
