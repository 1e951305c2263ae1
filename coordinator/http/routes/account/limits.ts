/** `GET /v1/limits`: what the client's plan allows, and what of it is used by live data. */
import { bodylessEndpoint } from '../../endpoint.ts';

export const showLimits = bodylessEndpoint({
  method: 'GET',
  url: '/v1/limits',
  kind: 'read',
  needs: 'usage:read',
  async run({ account }, { owner, out }) {
    const { limits, used } = await account.limits(owner);
    const { inFlight, ...rest } = used;
    out.value({ limits, used: { ...rest, in_flight: inFlight } });
  },
});
