/** `/v1/statement`, `/v1/invoices`: what the client owes, for any interval and month by month. */

import type { JsonValue } from '../../../../shared/domain/point.ts';
import {
  invoicesQuery,
  parseInvoicesQuery,
  parseStatementQuery,
  statementQuery,
} from '../../billing-query.ts';
import {
  invoiceCsv,
  invoicesCsv,
  statementCsv,
  viewInvoice,
  viewStatement,
} from '../../billing-views.ts';
import { CSV_TYPE, formatQuery } from '../../csv.ts';
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

export const listOwnInvoices = bodylessEndpoint({
  method: 'GET',
  url: '/v1/invoices',
  kind: 'read',
  needs: 'billing:read',
  query: closedObject(invoicesQuery),
  run({ billing }, call) {
    const page = billing.listInvoices(call.owner, parseInvoicesQuery(call.query));
    answer(call, { invoices: page.items.map(viewInvoice), next: page.next }, invoicesCsv);
  },
});

/** By number, or by month, then as a draft, too. */
export const showOwnInvoice = bodylessEndpoint({
  method: 'GET',
  url: '/v1/invoices/:id',
  kind: 'read',
  needs: 'billing:read',
  query: closedObject(formatQuery),
  async run({ billing }, call) {
    answer(call, viewInvoice(await billing.showInvoice(call.owner, call.id)), invoiceCsv);
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
