/** `GET /aliases`: there are none; clients look before they create a collection. */
import { bodylessEndpoint } from '../../endpoint.ts';

export const listAliases = bodylessEndpoint({
  method: 'GET',
  url: '/aliases',
  kind: 'read',
  needs: 'collections:read',
  run(_plane, { out }) {
    out.value({ aliases: [] });
  },
});
