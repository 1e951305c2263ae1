/** `GET /v1/usage`: what the client has used, of the key's mode and in its namespaces. */
import { viewUsage } from '../../admin-views.ts';
import { bodylessEndpoint } from '../../endpoint.ts';
import { parseUsageQuery, usageQuery } from '../../usage-query.ts';
import { closedObject } from '../../validation.ts';

export const showUsage = bodylessEndpoint({
  method: 'GET',
  url: '/v1/usage',
  kind: 'read',
  needs: 'usage:read',
  query: closedObject(usageQuery),
  async run({ usage }, { owner, query, out }) {
    const { clientId, mode, namespaces } = owner;
    const span = parseUsageQuery(query);
    out.value(viewUsage(await usage.report({ clientId, mode, namespaces, ...span })));
  },
});
