/** `bulkhead invoice list|show|finalise|credit`. */
import type { Command } from 'commander';
import { CommandError } from '../command-error.ts';
import type { ProgramContext } from '../context.ts';
import { type Output, printJson, printRows } from '../output.ts';
import { type AdminOptions, type AdminParts, addAdminOptions, withAdmin } from './admin-options.ts';
import type { InvoicePath } from './billing-calls.ts';
import type { InvoiceRow } from './billing-replies.ts';
import { addConfirmOption, type ConfirmOptions, confirm } from './confirm.ts';
import { formatAmount, parseAmount } from './money.ts';
import { clientIdOf } from './names.ts';

const LISTED = [
  'invoice',
  'kind',
  'month',
  'client_name',
  'issued_at',
  'total',
  'credited',
  'credits',
];
const LINES = ['item', 'plan', 'from', 'until', 'quantity', 'unit', 'amount'];

interface ShowOptions {
  client?: string;
  csv?: boolean;
}

interface CreditOptions {
  amount: string;
  reason: string;
}

export function addInvoiceCommands(program: Command, context: ProgramContext): void {
  const invoice = program.command('invoice').description('bills, month by month');
  const run = (options: AdminOptions, command: (parts: AdminParts) => Promise<void>) => {
    return withAdmin(options, context.write, command);
  };
  addAdminOptions(invoice.command('list [client]').description('list final ones')).action(
    (client: string | undefined, options: AdminOptions) => {
      return run(options, async ({ admin, output }) => {
        const clientId = client === undefined ? undefined : await clientIdOf(admin, client);
        printList(output, await admin.billing.invoices(clientId));
      });
    },
  );
  const show = invoice.command('show <invoice>');
  addAdminOptions(show.description('show one by its number, or of a month: also a draft'))
    .option('--client <client>', 'whose, where a month is given (2028-02)')
    .option('--csv', 'print a table for a spreadsheet')
    .action((name: string, { client, csv, ...options }: AdminOptions & ShowOptions) => {
      return run(options, async ({ admin, output }) => {
        const path = await pathOf({ admin, output }, name, client);
        if (csv === true) return context.write(await admin.billing.invoiceTable(path));
        printInvoice(output, await admin.billing.invoice(path));
      });
    });
  const finalise = invoice.command('finalise <client> <month>');
  addConfirmOption(addAdminOptions(finalise.description('make a month that is over final'))).action(
    (client: string, month: string, options: AdminOptions & ConfirmOptions) => {
      return run(options, async ({ admin, output }) => {
        const what = `makes the invoice of ${month} final, for good`;
        await confirm(options, context, { what, name: client });
        const clientId = await clientIdOf(admin, client);
        printInvoice(output, await admin.billing.finalise(clientId, month));
      });
    },
  );
  addAdminOptions(invoice.command('credit <invoice>').description('take back a part, or all of it'))
    .requiredOption('--amount <amount>', 'in the currency of the invoice: 12.50', parseAmount)
    .requiredOption('--reason <text>', 'why; it is on the credit note')
    .action((number: string, { amount, reason, ...options }: AdminOptions & CreditOptions) => {
      return run(options, async ({ admin, output }) => {
        const credit = { amount_micros: amount, reason };
        printInvoice(output, await admin.billing.credit(number, credit));
      });
    });
}

async function pathOf(
  { admin }: AdminParts,
  name: string,
  client: string | undefined,
): Promise<InvoicePath> {
  const isMonth = /^\d{4}-\d{2}$/.test(name);
  if (!isMonth) return { number: name };
  if (client === undefined) {
    throw new CommandError('say whose month it is: --client', { exit: 'usage' });
  }
  return { clientId: await clientIdOf(admin, client), month: name };
}

function printList(output: Output, invoices: readonly InvoiceRow[]): void {
  const rows = invoices.map((row) => ({
    ...row,
    total: formatAmount(row.total_micros, row.currency),
    credited: formatAmount(row.credited_micros, row.currency),
  }));
  printRows(output, LISTED, output.json ? invoices.map((row) => ({ ...row })) : rows);
}

function printInvoice(output: Output, invoice: InvoiceRow): void {
  if (output.json) {
    printJson(output, { ...invoice });
    return;
  }
  const { invoice: number, kind, month, client_name, state, currency, lines, reason } = invoice;
  const title = `${kind === 'invoice' ? 'invoice' : 'credit note'} ${number ?? `(${state})`}`;
  const why = reason === null ? '' : ` of ${invoice.credits}: ${reason}`;
  const head = { item: title, plan: client_name, from: month, until: why };
  const rows = lines.map((line) => {
    return { ...line, amount: formatAmount(line.amount_micros, currency) };
  });
  const total = { item: 'total', amount: formatAmount(invoice.total_micros, currency) };
  const credited = { item: 'credited', amount: formatAmount(invoice.credited_micros, currency) };
  printRows(output, LINES, [head, ...rows, total, credited]);
}
