/** `bulkhead replicas [compare]`. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { ProgramContext } from '../context.ts';
import { printRows } from '../output.ts';
import { type AdminOptions, addAdminOptions, withAdmin } from './admin-options.ts';
import { clientIdOf } from './names.ts';

const COLUMNS = [
  'client_id',
  'mode',
  'namespace',
  'collection',
  'ordinal',
  'worker_id',
  'state',
  'versions_behind',
  'since',
];

interface ReplicaOptions {
  behind: boolean;
  worker?: string;
  client?: string;
}

interface CompareOptions {
  client?: string;
  wait: boolean;
}

const COUNTS = ['waiting', 'compared', 'differed', 'repaired_rows', 'skipped', 'failed'];
const LOOK_MS = 500;

export function addReplicaCommands(program: Command, { write }: ProgramContext): void {
  const replicas = program
    .command('replicas')
    .description('where every copy of every shard is')
    .enablePositionalOptions();
  addAdminOptions(replicas)
    .option('--behind', 'those that lack writes only', false)
    .option('--worker <worker>', 'on one worker only')
    .option('--client <client>', 'of one client only')
    .action((options: AdminOptions & ReplicaOptions) => {
      return withAdmin(options, write, async ({ admin, output }) => {
        const { behind, worker, client } = options;
        const found = await admin.listReplicas({
          ...(behind && { state: 'behind' }),
          ...(worker !== undefined && { worker }),
          ...(client !== undefined && { client: await clientIdOf(admin, client) }),
        });
        printRows(
          output,
          COLUMNS,
          found.map((row) => ({ ...row })),
        );
      });
    });
  addAdminOptions(
    replicas
      .command('compare')
      .description('compare the copies with each other, mend what differs'),
  )
    .option('--client <client>', 'those of one client only')
    .option('--wait', 'until all are compared', false)
    .action((options: AdminOptions & CompareOptions) => {
      return withAdmin(options, write, async ({ admin, output }) => {
        const { client, wait } = options;
        const clientId = client === undefined ? undefined : await clientIdOf(admin, client);
        let row = await admin.compareReplicas(clientId);
        while (wait && row.waiting > 0) {
          await sleep(LOOK_MS);
          row = await admin.comparison();
        }
        printRows(output, COUNTS, [{ ...row }]);
      });
    });
}
