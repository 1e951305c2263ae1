import { type AdminEndpoint, adminEndpoint } from '../../admin-endpoint.ts';
import { parseStatementQuery, statementQuery } from '../../billing-query.ts';
import { Statement } from '../../billing-schemas.ts';
import { statementCsv, viewStatement } from '../../billing-views.ts';
import { closedObject } from '../../validation.ts';

export const BILLING_ENDPOINTS: readonly AdminEndpoint[] = [
  adminEndpoint({
    name: 'showStatement',
    help: 'show what a client owes for any interval, line by line',
    method: 'GET',
    url: '/admin/v1/clients/:client/statement',
    query: closedObject(statementQuery),
    reply: Statement,
    csv: statementCsv,
    async run({ billing: { statements } }, { params, query }) {
      const clientId = statements.clientOf(params.client);
      return viewStatement(await statements.report(clientId, parseStatementQuery(query)));
    },
  }),
];
