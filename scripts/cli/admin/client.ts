/** `bulkhead client create|list|show|set|suspend|pause|resume|delete`. */
import type { Command } from 'commander';
import { CommandError } from '../command-error.ts';
import type { ProgramContext } from '../context.ts';
import { type Output, printRows } from '../output.ts';
import { type AdminOptions, type AdminParts, addAdminOptions, withAdmin } from './admin-options.ts';
import type { ClientRow } from './admin-replies.ts';
import { addConfirmOption, type ConfirmOptions, confirm } from './confirm.ts';
import { clientIdOf } from './names.ts';
import { collectSetting, formatNumbers, type Settings, withSettings } from './settings.ts';
import { parseDuration } from './times.ts';

const COLUMNS = [
  'client_id',
  'name',
  'plan',
  'state',
  'reason',
  'overrides',
  'created_at',
  'erase_at',
];

interface SetOptions {
  name?: string;
  plan?: string;
  limit?: Settings;
}

export function addClientCommands(program: Command, context: ProgramContext): void {
  const clients = program.command('client').description('clients: who pays and who must not meet');
  const run = <Options extends AdminOptions>(
    options: Options,
    command: (parts: AdminParts) => Promise<void>,
  ) => withAdmin(options, context.write, command);
  addAdminOptions(clients.command('create <name>').description('create a client'))
    .option('--plan <plan>', 'the plan that it is on')
    .action((name: string, options: AdminOptions & { plan?: string }) => {
      const { plan } = options;
      return run(options, async ({ admin, output }) => {
        print(output, [await admin.createClient(plan === undefined ? { name } : { name, plan })]);
      });
    });
  addAdminOptions(clients.command('list').description('list clients')).action(
    (options: AdminOptions) => {
      return run(options, async ({ admin, output }) => print(output, await admin.listClients()));
    },
  );
  addAdminOptions(clients.command('show <client>').description('show a client')).action(
    (client: string, options: AdminOptions) => {
      return run(options, async ({ admin, output }) => {
        print(output, [await admin.showClient(await clientIdOf(admin, client))]);
      });
    },
  );
  addAdminOptions(clients.command('set <client>').description('rename, put on a plan, limit'))
    .option('--name <text>', 'its name')
    .option('--plan <plan>', 'the plan that it is on')
    .option('--limit <name=number>', 'a limit of its own; NAME= takes it away', collectSetting)
    .action((client: string, options: AdminOptions & SetOptions) => {
      return run(options, (parts) => setClient(parts, client, options));
    });
  addAdminOptions(clients.command('suspend <client>').description('refuse all its keys, at once'))
    .requiredOption('--reason <text>', 'why, for whoever asks')
    .action((client: string, options: AdminOptions & { reason: string }) => {
      return run(options, async ({ admin, output }) => {
        print(output, [await admin.suspendClient(await clientIdOf(admin, client), options.reason)]);
      });
    });
  const described = clients
    .command('pause <client>')
    .description('refuse its requests, keep its data');
  addAdminOptions(described)
    .requiredOption('--reason <text>', 'why, for whoever asks')
    .option('--writes', 'refuse writes alone; without it reads, too', false)
    .action((client: string, options: AdminOptions & { reason: string; writes: boolean }) => {
      return run(options, async ({ admin, output }) => {
        const { reason, writes } = options;
        const pause = { reason, scope: writes ? 'writes' : 'all' };
        print(output, [await admin.pauseClient(await clientIdOf(admin, client), pause)]);
      });
    });
  addDelete(clients, context);
  addAdminOptions(
    clients
      .command('resume <client>')
      .description('accept its keys again, also of one that is being deleted'),
  ).action((client: string, options: AdminOptions) => {
    return run(options, async ({ admin, output }) => {
      print(output, [await admin.resumeClient(await clientIdOf(admin, client))]);
    });
  });
}

function addDelete(clients: Command, context: ProgramContext): void {
  const command = clients.command('delete <client>');
  const described = command.description('refuse its keys now, erase all it has after a grace');
  addConfirmOption(addAdminOptions(described))
    .option('--grace <duration>', 'until it is erased: 7d unless said, or now', parseDuration)
    .action((client: string, options: AdminOptions & ConfirmOptions & { grace?: number }) => {
      return withAdmin(options, context.write, async ({ admin, output }) => {
        const clientId = await clientIdOf(admin, client);
        const { name } = await admin.showClient(clientId);
        await confirm(options, context, { what: `erases all data of the client "${name}"`, name });
        print(output, [await admin.deleteClient(clientId, options.grace)]);
      });
    });
}

async function setClient(
  { admin, output }: AdminParts,
  client: string,
  { name, plan, limit }: SetOptions,
): Promise<void> {
  if (name === undefined && plan === undefined && limit === undefined) {
    throw new CommandError('nothing to set: give --name, --plan or --limit', { exit: 'usage' });
  }
  const clientId = await clientIdOf(admin, client);
  const { overrides, version } = await admin.showClient(clientId);
  const update = { name, plan, overrides: limit && withSettings(overrides, limit) };
  print(output, [await admin.updateClient(clientId, version, update)]);
}

function print(output: Output, clients: readonly ClientRow[]): void {
  const rows = clients.map((client) => {
    return output.json ? { ...client } : { ...client, overrides: formatNumbers(client.overrides) };
  });
  printRows(output, COLUMNS, rows);
}
