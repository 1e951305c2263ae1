/** `/v1/statement`: what the client owes for any interval. */

import type { JsonValue } from '../../../../shared/domain/point.ts';
import { parseStatementQuery, statementQuery } from '../../billing-query.ts';
import { statementCsv, viewStatement } from '../../billing-views.ts';
import { CSV_TYPE } from '../../csv.ts';
import { bodylessEndpoint, type Call } from '../../endpoint.ts';
import { closedObject } from '../../validation.ts';

export const showStatement = bodylessEndpoint({
  method: 'GET',
  url: '/v1/statement',
  kind: 'read',
  needs: 'billing:read',
  query: closedObject(statementQuery),
  async run({ billing }, call) {
    const wanted = parseStatementQuery(call.query);
    answer(call, viewStatement(await billing.statement(call.owner, wanted)), statementCsv);
  },
});

function answer<View extends JsonValue>(
  { wantsCsv, out, sendLines }: Call,
  view: View,
  csv: (view: View) => string,
) {
  if (wantsCsv) sendLines([csv(view)], CSV_TYPE);
  else out.value(view);
}
