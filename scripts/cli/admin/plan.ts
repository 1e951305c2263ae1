/** `bulkhead plan list|show|set|remove`. */
import type { Command } from 'commander';
import { CommandError } from '../command-error.ts';
import type { ProgramContext } from '../context.ts';
import { type Output, printJson, printRows } from '../output.ts';
import { type AdminOptions, type AdminParts, addAdminOptions, withAdmin } from './admin-options.ts';
import type { PlanRow } from './admin-replies.ts';
import { addConfirmOption, type ConfirmOptions, confirm } from './confirm.ts';
import { collectSetting, type Settings, withSettings } from './settings.ts';

const LISTED = ['plan', 'requests_per_second', 'burst', 'points', 'bytes', 'collections', 'month'];

interface SetOptions {
  from?: string;
  limit?: Settings;
  price?: Settings;
}

export function addPlanCommands(program: Command, context: ProgramContext): void {
  const plan = program.command('plan').description('plans: what clients may use and what it costs');
  const run = (options: AdminOptions, command: (parts: AdminParts) => Promise<void>) => {
    return withAdmin(options, context.write, command);
  };
  addAdminOptions(plan.command('list').description('list plans')).action(
    (options: AdminOptions) => {
      return run(options, async ({ admin, output }) => printList(output, await admin.listPlans()));
    },
  );
  addAdminOptions(plan.command('show <plan>').description('show all terms of a plan')).action(
    (name: string, options: AdminOptions) => {
      return run(options, async ({ admin, output }) =>
        printTerms(output, await admin.showPlan(name)),
      );
    },
  );
  addAdminOptions(plan.command('set <plan>').description('change a plan, for its clients at once'))
    .option('--from <plan>', 'make it, with the terms of another')
    .option('--limit <name=number>', 'a limit', collectSetting)
    .option('--price <name=number>', 'a price, in millionths', collectSetting)
    .action((name: string, options: AdminOptions & SetOptions) => {
      return run(options, (parts) => setPlan(parts, name, options));
    });
  const remove = plan.command('remove <plan>').description('remove a plan that nobody is on');
  addConfirmOption(addAdminOptions(remove)).action(
    (name: string, options: AdminOptions & ConfirmOptions) => {
      return run(options, async ({ admin, output }) => {
        await confirm(options, context, { what: `removes the plan ${name}`, name });
        printTerms(output, await admin.removePlan(name));
      });
    },
  );
}

async function setPlan(
  { admin, output }: AdminParts,
  name: string,
  { from, limit, price }: SetOptions,
): Promise<void> {
  if (from === undefined && limit === undefined && price === undefined) {
    throw new CommandError('nothing to set: give --limit, --price or --from', { exit: 'usage' });
  }
  const model = await admin.showPlan(from ?? name);
  const terms = {
    limits: withSettings(model.limits, limit),
    prices: withSettings(model.prices, price),
  };
  const version = from === undefined ? model.version : 'new';
  printTerms(output, await admin.putPlan(name, version, terms));
}

function printList(output: Output, plans: readonly PlanRow[]): void {
  const rows = plans.map((plan) => {
    return output.json ? { ...plan } : { ...plan.limits, ...plan.prices, plan: plan.plan };
  });
  printRows(output, LISTED, rows);
}

/** One term a line. */
function printTerms(output: Output, plan: PlanRow): void {
  if (output.json) {
    printJson(output, { ...plan });
    return;
  }
  const rows = [
    ...Object.entries(plan.limits).map(([term, value]) => ({ term, value })),
    ...Object.entries(plan.prices).map(([term, value]) => ({ term: `price of ${term}`, value })),
  ];
  printRows(output, ['term', 'value'], rows);
}
