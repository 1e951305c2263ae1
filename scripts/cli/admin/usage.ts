/** `bulkhead usage <client>`. */
import { type Command, Option } from 'commander';
import type { ProgramContext } from '../context.ts';
import { printRows } from '../output.ts';
import { type AdminOptions, addAdminOptions, withAdmin } from './admin-options.ts';
import { clientIdOf } from './names.ts';

const COLUMNS = [
  'start',
  'namespace',
  'key_id',
  'writes',
  'points_written',
  'points_deleted',
  'bytes_written',
];

interface UsageOptions {
  from?: string;
  until?: string;
  by?: string;
  mode?: string;
}

export function addUsageCommand(program: Command, { write }: ProgramContext): void {
  const command = program.command('usage <client>');
  addAdminOptions(command.description('what a client has used, by key and namespace'))
    .option('--from <time>', 'the hour of that time is the first; unless said, of this month (UTC)')
    .option('--until <time>', 'up to that time, rounded up to the hour; now unless said')
    .addOption(new Option('--by <period>', 'added up by it').choices(['hour', 'day', 'month']))
    .addOption(new Option('--mode <mode>', 'live unless said').choices(['live', 'test']))
    .action((client: string, options: AdminOptions & UsageOptions) => {
      return withAdmin(options, write, async ({ admin, output }) => {
        const { from, until, by, mode } = options;
        const clientId = await clientIdOf(admin, client);
        const { rows, total } = await admin.usage(clientId, { from, until, by, mode });
        const all = rows.map((row) => ({ ...row }));
        printRows(output, COLUMNS, output.json ? all : [...all, { start: 'total', ...total }]);
      });
    });
}
