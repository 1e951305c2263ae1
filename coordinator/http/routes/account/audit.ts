/** `/v1/audit`: the client's audit chain, a page or an export that can be verified, and the key for that. */
import { auditQuery, exportQuery, parseAfter, parseAuditQuery } from '../../audit-query.ts';
import { bodylessEndpoint } from '../../endpoint.ts';
import { closedObject } from '../../validation.ts';

const needs = 'audit:read';

export const listOwnAudit = bodylessEndpoint({
  method: 'GET',
  url: '/v1/audit',
  kind: 'read',
  needs,
  query: closedObject(auditQuery),
  async run({ account, auditTrail }, { owner, query, out }) {
    account.checkLive(owner);
    const page = await auditTrail.list(owner.clientId, parseAuditQuery(query));
    const { entries, next, keptFrom } = page;
    out.value({ entries: entries.map((entry) => JSON.parse(entry)), next, kept_from: keptFrom });
  },
});

export const exportOwnAudit = bodylessEndpoint({
  method: 'GET',
  url: '/v1/audit/export',
  kind: 'read',
  needs,
  query: closedObject(exportQuery),
  async run({ account, auditTrail }, { owner, query, sendLines }) {
    account.checkLive(owner);
    const lines = await auditTrail.export(owner.clientId, parseAfter(query.after));
    sendLines(account.charged(owner, lines));
  },
});

export const showAuditKey = bodylessEndpoint({
  method: 'GET',
  url: '/v1/audit/key',
  kind: 'read',
  needs,
  run({ auditTrail }, { out }) {
    out.value({ public_key: auditTrail.publicKey });
  },
});
