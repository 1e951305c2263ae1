import Type from 'typebox';
import { type AdminEndpoint, adminEndpoint } from '../../admin-endpoint.ts';
import { pageSchema } from '../../admin-schemas.ts';
import { Anomaly } from '../../billing-schemas.ts';
import { viewAnomaly } from '../../billing-views.ts';
import { Limit, parseLimit } from '../../page-query.ts';
import { closedObject, formedText } from '../../validation.ts';

export const ANOMALY_ENDPOINTS: readonly AdminEndpoint[] = [
  adminEndpoint({
    name: 'listAnomalies',
    help: "list hours of clients that were far outside of the clients' own histories",
    method: 'GET',
    url: '/admin/v1/anomalies',
    query: closedObject({
      limit: Limit,
      after: formedText('^[0-9]{1,15}$', 'must be the number that "next" gave'),
      client: formedText('^cl_[a-z2-7]{16}$', 'must be the id of a client'),
    }),
    reply: pageSchema('anomalies', Anomaly, Type.Integer()),
    run({ billing, clients }, { query: { after, client, limit } }) {
      const page = billing.anomalies.list({
        after: Number(after ?? 0),
        limit: parseLimit(limit),
        ...(client !== undefined && { clientId: clients.show(client).clientId }),
      });
      return { anomalies: page.items.map(viewAnomaly), next: page.next };
    },
  }),
];
