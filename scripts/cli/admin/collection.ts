/** `bulkhead collection list|pause|wake`. */
import type { Command } from 'commander';
import { CommandError } from '../command-error.ts';
import type { ProgramContext } from '../context.ts';
import { type Output, printRows } from '../output.ts';
import type { AdminClient } from './admin-client.ts';
import { type AdminOptions, type AdminParts, addAdminOptions, withAdmin } from './admin-options.ts';
import type { CollectionRow } from './collection-replies.ts';
import { clientIdOf } from './names.ts';

const COLUMNS = [
  'collection_id',
  'mode',
  'namespace',
  'name',
  'shards',
  'used_at',
  'pause',
  'reason',
  'paused_at',
];
const COLLECTION_ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

export function addCollectionCommands(program: Command, { write }: ProgramContext): void {
  const commands = program.command('collection').description('collections of clients');
  const run = (options: AdminOptions, command: (parts: AdminParts) => Promise<void>) => {
    return withAdmin(options, write, command);
  };
  addAdminOptions(
    commands
      .command('list <client>')
      .description('list them, their last use, and which are paused'),
  ).action((client: string, options: AdminOptions) => {
    return run(options, async ({ admin, output }) => {
      print(output, await admin.listCollections(await clientIdOf(admin, client)));
    });
  });
  addAdminOptions(
    commands
      .command('pause <client> <collection>')
      .description('refuse its requests, and move its data to the cold disks'),
  )
    .requiredOption('--reason <text>', 'why; whoever uses it is told')
    .action((client: string, name: string, options: AdminOptions & { reason: string }) => {
      return run(options, async ({ admin, output }) => {
        const clientId = await clientIdOf(admin, client);
        const collection = await collectionIdOf(admin, clientId, name);
        print(output, [await admin.pauseCollection(clientId, collection, options.reason)]);
      });
    });
  addAdminOptions(
    commands
      .command('wake <client> <collection>')
      .description('serve it again; its first request brings the data back'),
  ).action((client: string, name: string, options: AdminOptions) => {
    return run(options, async ({ admin, output }) => {
      const clientId = await clientIdOf(admin, client);
      const collection = await collectionIdOf(admin, clientId, name);
      print(output, [await admin.wakeCollection(clientId, collection)]);
    });
  });
}

/** By id, or by a name that one collection has in all modes and namespaces. */
async function collectionIdOf(admin: AdminClient, clientId: string, text: string): Promise<string> {
  if (COLLECTION_ID.test(text)) return text;
  const found = (await admin.listCollections(clientId)).filter(({ name }) => name === text);
  const [only, ...others] = found;
  if (only === undefined) {
    throw new CommandError(`the client has no collection ${text}`, { exit: 'notFound' });
  }
  if (others.length === 0) return only.collection_id;
  const ids = found.map(({ mode, namespace, collection_id }) => {
    return `${collection_id} (${mode}, ${namespace})`;
  });
  const problem = `${found.length} collections are called ${text}, say which: ${ids.join(', ')}`;
  throw new CommandError(problem, { exit: 'usage' });
}

function print(output: Output, collections: readonly CollectionRow[]): void {
  const rows = collections.map((collection) => ({ ...collection }));
  printRows(output, COLUMNS, rows);
}
