/** `bulkhead usage <client>`. */
import { type Command, Option } from 'commander';
import type { ProgramContext } from '../context.ts';
import { printRows } from '../output.ts';
import { type AdminOptions, addAdminOptions, withAdmin } from './admin-options.ts';
import type { StoredRow, UsageOf, UsageReport } from './admin-replies.ts';
import { clientIdOf } from './names.ts';

const COLUMNS = [
  'start',
  'namespace',
  'key_id',
  'requests',
  'queries',
  'units',
  'bytes_in',
  'bytes_out',
  'points_written',
  'points_deleted',
  'bytes_written',
  'stored_points',
  'stored_bytes',
  'byte_hours',
];

const NOTHING = {
  requests: 0,
  queries: 0,
  units: 0,
  bytes_in: 0,
  bytes_out: 0,
  writes: 0,
  points_written: 0,
  points_deleted: 0,
  bytes_written: 0,
};

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
        const report = await admin.usage(clientId, { from, until, by, mode });
        const { total } = report;
        const all = rowsOf(report);
        printRows(output, COLUMNS, output.json ? all : [...all, { start: 'total', ...total }]);
      });
    });
}

/** One row a period, namespace and key, with all that it came to; what is stored is no key's. */
function rowsOf({ writes, requests, stored }: UsageReport) {
  const rows = new Map<string, UsageOf & typeof NOTHING>();
  for (const part of [...requests, ...writes]) {
    const { start, namespace, key_id } = part;
    const place = `${start} ${namespace} ${key_id}`;
    const row = rows.get(place) ?? { start, namespace, key_id, ...NOTHING };
    for (const name of Object.keys(NOTHING) as (keyof typeof NOTHING)[]) {
      if (name in part) row[name] += (part as Partial<typeof NOTHING>)[name] ?? 0;
    }
    rows.set(place, row);
  }
  const used = [...rows].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => ({ ...row }));
  return [...used, ...stored.map(storedRow)];
}

function storedRow({ start, namespace, points, bytes, byte_hours }: StoredRow) {
  return { start, namespace, stored_points: points, stored_bytes: bytes, byte_hours };
}
