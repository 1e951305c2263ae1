/** `bulkhead statement <client>`. */
import { type Command, Option } from 'commander';
import type { ProgramContext } from '../context.ts';
import { type Output, printRows } from '../output.ts';
import { type AdminOptions, addAdminOptions, withAdmin } from './admin-options.ts';
import type { LineRow } from './billing-replies.ts';
import { formatAmount } from './money.ts';
import { clientIdOf } from './names.ts';

interface StatementOptions {
  from?: string;
  until?: string;
  by?: string;
  csv?: boolean;
}

const GROUPS = ['none', 'day', 'namespace', 'key', 'collection'];

export function addStatementCommand(program: Command, { write }: ProgramContext): void {
  const command = program.command('statement <client>');
  addAdminOptions(command.description('what a client owes, line by line'))
    .option('--from <time>', 'the hour of that time is the first; unless said, of this month (UTC)')
    .option('--until <time>', 'up to that time, rounded up to the hour; now unless said')
    .addOption(new Option('--by <group>', 'lines divided by it').choices(GROUPS))
    .option('--csv', 'print a table for a spreadsheet')
    .action((client: string, options: AdminOptions & StatementOptions) => {
      return withAdmin(options, write, async ({ admin, output }) => {
        const { from, until, by, csv } = options;
        const clientId = await clientIdOf(admin, client);
        const wanted = { from, until, by };
        if (csv === true) return write(await admin.billing.statementTable(clientId, wanted));
        const { lines, currency, total_micros } = await admin.billing.statement(clientId, wanted);
        printLines(output, { lines, currency, total: total_micros });
      });
    });
}

/** For people with the total, and only the columns in which there is something. */
export function printLines(
  output: Output,
  { lines, currency, total }: { lines: readonly LineRow[]; currency: string; total: string },
): void {
  const columns = ['item', 'plan', 'from', 'until', 'quantity', 'unit', 'amount'];
  const groups = (['namespace', 'key_id', 'collection'] as const).filter((name) => {
    return lines.some((line) => line[name] !== null);
  });
  columns.splice(4, 0, ...groups);
  const rows = lines.map((line) => ({
    ...line,
    amount: formatAmount(line.amount_micros, currency),
  }));
  const sum = { item: 'total', amount: formatAmount(total, currency) };
  printRows(output, columns, output.json ? lines.map((line) => ({ ...line })) : [...rows, sum]);
}
