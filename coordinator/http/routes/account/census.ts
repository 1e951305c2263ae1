/** `GET /v1/census`: what the client stored as the last day's census found it, of the key's mode and namespaces. */
import { viewOwnCensus } from '../../admin-views.ts';
import { bodylessEndpoint } from '../../endpoint.ts';

export const showOwnCensus = bodylessEndpoint({
  method: 'GET',
  url: '/v1/census',
  kind: 'read',
  needs: 'usage:read',
  async run({ census }, { owner, out }) {
    out.value(viewOwnCensus(await census.latestOf(owner)));
  },
});
