import Type from 'typebox';
import { type AdminEndpoint, adminEndpoint } from '../../admin-endpoint.ts';
import { pageSchema } from '../../admin-schemas.ts';
import {
  invoicesQuery,
  parseInvoicesQuery,
  parseStatementQuery,
  statementQuery,
} from '../../billing-query.ts';
import { Amount, Invoice, Statement } from '../../billing-schemas.ts';
import {
  invoiceCsv,
  invoicesCsv,
  statementCsv,
  viewInvoice,
  viewStatement,
} from '../../billing-views.ts';
import { formatQuery } from '../../csv.ts';
import { closedObject, formedText } from '../../validation.ts';

const ClientId = formedText('^cl_[a-z2-7]{16}$', 'must be the id of a client');

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
  adminEndpoint({
    name: 'showMonth',
    help: 'show the invoice of a month: a draft that may change, until it is final',
    method: 'GET',
    url: '/admin/v1/clients/:client/invoices/:month',
    query: closedObject(formatQuery),
    reply: Invoice,
    csv: invoiceCsv,
    async run({ billing: { statements, invoices } }, { params }) {
      const clientId = statements.clientOf(params.client);
      return viewInvoice(await invoices.ofMonth(clientId, invoices.monthOf(params.month)));
    },
  }),
  adminEndpoint({
    name: 'finaliseMonth',
    help: 'make the invoice of a month that is over final, at once; repeatable',
    method: 'POST',
    url: '/admin/v1/clients/:client/invoices/:month/finalise',
    reply: Invoice,
    async run({ billing: { statements, invoices } }, { origin, params }) {
      const clientId = statements.clientOf(params.client);
      const month = invoices.monthOf(params.month);
      const { number } = await invoices.finalise(origin, clientId, month);
      return viewInvoice(invoices.show(number));
    },
  }),
  adminEndpoint({
    name: 'listInvoices',
    help: 'list invoices and credit notes that are final, by number',
    method: 'GET',
    url: '/admin/v1/invoices',
    query: closedObject({ ...invoicesQuery, client: ClientId }),
    reply: pageSchema('invoices', Invoice),
    csv: invoicesCsv,
    run({ billing: { statements, invoices } }, { query: { client, ...query } }) {
      const clientId = client === undefined ? undefined : statements.clientOf(client);
      const page = invoices.list({ ...parseInvoicesQuery(query), clientId });
      return { invoices: page.items.map(viewInvoice), next: page.next };
    },
  }),
  adminEndpoint({
    name: 'showInvoice',
    help: 'show an invoice or a credit note',
    method: 'GET',
    url: '/admin/v1/invoices/:invoice',
    query: closedObject(formatQuery),
    reply: Invoice,
    csv: invoiceCsv,
    run: ({ billing }, { params }) => viewInvoice(billing.invoices.show(params.invoice)),
  }),
  adminEndpoint({
    name: 'creditInvoice',
    help: 'take back a part of an invoice or all of it: a credit note, with its own number',
    method: 'POST',
    url: '/admin/v1/invoices/:invoice/credit',
    status: 201,
    creates: true,
    body: closedObject({ amount_micros: Amount, reason: Type.String() }),
    reply: Invoice,
    run({ billing: { invoices } }, { origin, params, body }) {
      const credit = { amountMicros: BigInt(body.amount_micros), reason: body.reason };
      return viewInvoice(invoices.show(invoices.credit(origin, params.invoice, credit).number));
    },
  }),
];
