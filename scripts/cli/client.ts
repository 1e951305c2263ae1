/** `bulkhead client create|list|show|set|suspend|resume`. */
import type { Command } from 'commander';
import { type AdminOptions, type AdminParts, addAdminOptions, withAdmin } from './admin-options.ts';
import type { ClientRow } from './admin-replies.ts';
import { CommandError } from './command-error.ts';
import type { ProgramContext } from './context.ts';
import { type Output, printRows } from './output.ts';
import { collectSetting, formatNumbers, type Settings, withSettings } from './settings.ts';

const COLUMNS = ['client_id', 'name', 'plan', 'state', 'reason', 'overrides', 'created_at'];

interface SetOptions {
  name?: string;
  plan?: string;
  limit?: Settings;
}

export function addClientCommands(program: Command, context: ProgramContext): void {
  const client = program.command('client').description('clients: who pays and who must not meet');
  const run = <Options extends AdminOptions>(
    options: Options,
    command: (parts: AdminParts) => Promise<void>,
  ) => withAdmin(options, context.write, command);
  addAdminOptions(client.command('create <name>').description('create a client'))
    .option('--plan <plan>', 'the plan that it is on')
    .action((name: string, options: AdminOptions & { plan?: string }) => {
      const { plan } = options;
      return run(options, async ({ admin, output }) => {
        print(output, [await admin.createClient(plan === undefined ? { name } : { name, plan })]);
      });
    });
  addAdminOptions(client.command('list').description('list clients')).action(
    (options: AdminOptions) => {
      return run(options, async ({ admin, output }) => print(output, await admin.listClients()));
    },
  );
  addAdminOptions(client.command('show <client-id>').description('show a client')).action(
    (clientId: string, options: AdminOptions) => {
      return run(options, async ({ admin, output }) => {
        print(output, [await admin.showClient(clientId)]);
      });
    },
  );
  addAdminOptions(client.command('set <client-id>').description('rename, put on a plan, limit'))
    .option('--name <text>', 'its name')
    .option('--plan <plan>', 'the plan that it is on')
    .option('--limit <name=number>', 'a limit of its own; NAME= takes it away', collectSetting)
    .action((clientId: string, options: AdminOptions & SetOptions) => {
      return run(options, (parts) => setClient(parts, clientId, options));
    });
  addAdminOptions(client.command('suspend <client-id>').description('refuse all its keys, at once'))
    .requiredOption('--reason <text>', 'why, for whoever asks')
    .action((clientId: string, options: AdminOptions & { reason: string }) => {
      return run(options, async ({ admin, output }) => {
        print(output, [await admin.suspendClient(clientId, options.reason)]);
      });
    });
  addAdminOptions(client.command('resume <client-id>').description('accept its keys again')).action(
    (clientId: string, options: AdminOptions) => {
      return run(options, async ({ admin, output }) => {
        print(output, [await admin.resumeClient(clientId)]);
      });
    },
  );
}

async function setClient(
  { admin, output }: AdminParts,
  clientId: string,
  { name, plan, limit }: SetOptions,
): Promise<void> {
  if (name === undefined && plan === undefined && limit === undefined) {
    throw new CommandError('nothing to set: give --name, --plan or --limit');
  }
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
