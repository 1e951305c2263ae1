/** `bulkhead budget show|set|remove`. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import type { ProgramContext } from '../context.ts';
import { type Output, printJson, printRows } from '../output.ts';
import { type AdminOptions, type AdminParts, addAdminOptions, withAdmin } from './admin-options.ts';
import type { BudgetRow } from './billing-replies.ts';
import { parseAmount } from './money.ts';
import { clientIdOf } from './names.ts';

interface SetOptions {
  amount: string;
  levels?: number[];
  atLimit?: string;
}

const ACTIONS = ['nothing', 'pause_writes', 'pause_all'];

export function addBudgetCommands(program: Command, { write }: ProgramContext): void {
  const budget = program.command('budget').description('what a client may cost a month');
  const run = (
    options: AdminOptions,
    client: string,
    command: (parts: AdminParts, clientId: string) => Promise<BudgetRow>,
  ) => {
    return withAdmin(options, write, async (parts) => {
      const clientId = await clientIdOf(parts.admin, client);
      printBudget(parts.output, await command(parts, clientId));
    });
  };
  addAdminOptions(budget.command('show <client>').description('and what is spent of it')).action(
    (client: string, options: AdminOptions) => {
      return run(options, client, ({ admin }, clientId) => admin.billing.budget(clientId));
    },
  );
  addAdminOptions(budget.command('set <client>').description('make it or replace it'))
    .requiredOption('--amount <amount>', 'of a month (UTC): 250 or 250.50', parseAmount)
    .option('--levels <percents>', 'when it is told, 50,80,100 unless said', parseLevels)
    .addOption(new Option('--at-limit <action>', 'nothing unless said').choices(ACTIONS))
    .action((client: string, options: AdminOptions & SetOptions) => {
      const { amount, levels, atLimit } = options;
      const terms = { amount_micros: amount, levels, at_limit: atLimit };
      return run(options, client, ({ admin }, clientId) => {
        return admin.billing.putBudget(clientId, terms);
      });
    });
  const remove = budget.command('remove <client>');
  addAdminOptions(remove.description('take it away, and lift what it has paused')).action(
    (client: string, options: AdminOptions) => {
      return run(options, client, ({ admin }, clientId) => admin.billing.removeBudget(clientId));
    },
  );
}

function parseLevels(text: string): number[] {
  if (/^[0-9]{1,4}(?:,[0-9]{1,4})*$/.test(text)) return text.split(',').map(Number);
  throw new InvalidArgumentError('It is percents with commas between, such as 50,80,100.');
}

function printBudget(output: Output, budget: BudgetRow): void {
  if (output.json) {
    printJson(output, { ...budget });
    return;
  }
  const { levels, this_month: spent, ...rest } = budget;
  const row = { ...rest, levels: levels.join(', '), ...spent };
  const columns = ['client_id', 'amount_micros', 'levels', 'at_limit', 'paused'];
  printRows(output, [...columns, 'month', 'spent_micros'], [row]);
}
