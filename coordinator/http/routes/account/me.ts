/** `GET /v1/me`: the client, and the key that asks. */
import { viewKey } from '../../admin-views.ts';
import { bodylessEndpoint } from '../../endpoint.ts';

export const showMe = bodylessEndpoint({
  method: 'GET',
  url: '/v1/me',
  kind: 'read',
  needs: 'usage:read',
  run({ account }, { owner, out }) {
    const { client, key } = account.me(owner);
    const { clientId, name, planId, state } = client;
    out.value({ client_id: clientId, name, plan: planId, state, key: viewKey(key) });
  },
});
