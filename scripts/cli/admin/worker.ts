/** `bulkhead worker list|show|set|drain|resume|release-shard`. */
import type { Command } from 'commander';
import { CommandError } from '../command-error.ts';
import type { ProgramContext } from '../context.ts';
import { formatBytes, type Output, printRows, type Row } from '../output.ts';
import { type AdminOptions, type AdminParts, addAdminOptions, withAdmin } from './admin-options.ts';
import type { WorkerRow } from './admin-replies.ts';
import { untilEmpty } from './drain-progress.ts';
import { clientIdOf } from './names.ts';

const RELEASED = ['worker_id', 'shard_id', 'state'];
const COLUMNS = [
  'worker_id',
  'state',
  'zone',
  'dedicated_to',
  'shards',
  'behind',
  'in_flight',
  'cpu',
  'memory',
  'disk_free',
  'last_seen_at',
];
/** What an option says to take away what was set. */
const NONE = 'none';

interface SetOptions {
  zone?: string;
  dedicatedTo?: string;
}

export function addWorkerCommands(program: Command, { write }: ProgramContext): void {
  const worker = program.command('worker').description('processes that hold the data');
  const run = (options: AdminOptions, command: (parts: AdminParts) => Promise<void>) => {
    return withAdmin(options, write, command);
  };
  addAdminOptions(
    worker.command('list').description('list workers, also those that are away'),
  ).action((options: AdminOptions) => {
    return run(options, async ({ admin, output }) => print(output, await admin.workers()));
  });
  addAdminOptions(worker.command('show <worker>').description('show a worker')).action(
    (workerId: string, options: AdminOptions) => {
      return run(options, async ({ admin, output }) => {
        print(output, [await admin.showWorker(workerId)]);
      });
    },
  );
  addAdminOptions(
    worker.command('set <worker>').description('say where it stands, or whose data alone it holds'),
  )
    .option('--zone <name>', `what fails together with it, or ${NONE}`)
    .option('--dedicated-to <client>', `the client whose data alone it holds, or ${NONE}`)
    .action((workerId: string, options: AdminOptions & SetOptions) => {
      return run(options, (parts) => setWorker(parts, workerId, options));
    });
  addAdminOptions(
    worker.command('drain <worker>').description('move all it holds to others, give it nothing'),
  )
    .option('--wait', 'until it holds nothing', false)
    .action((workerId: string, options: AdminOptions & { wait: boolean }) => {
      return run(options, async (parts) => {
        const drained = await parts.admin.drainWorker(workerId);
        print(parts.output, [options.wait ? await untilEmpty(parts, workerId) : drained]);
      });
    });
  addAdminOptions(worker.command('resume <worker>').description('take a drain back')).action(
    (workerId: string, options: AdminOptions) => {
      return run(options, async ({ admin, output }) => {
        print(output, [await admin.resumeWorker(workerId)]);
      });
    },
  );
  const release = worker
    .command('release-shard <worker> <shard>')
    .description('let a worker open a shard again that it has quarantined');
  addAdminOptions(release).action((workerId: string, shardId: string, options: AdminOptions) => {
    return withAdmin(options, write, async ({ admin, output }) => {
      await admin.releaseShard(workerId, shardId);
      printRows(output, RELEASED, [{ worker_id: workerId, shard_id: shardId, state: 'released' }]);
    });
  });
}

async function setWorker(
  { admin, output }: AdminParts,
  workerId: string,
  { zone, dedicatedTo }: SetOptions,
): Promise<void> {
  if (zone === undefined && dedicatedTo === undefined) {
    throw new CommandError('nothing to set: give --zone or --dedicated-to', { exit: 'usage' });
  }
  const { version } = await admin.showWorker(workerId);
  const client =
    dedicatedTo && (dedicatedTo === NONE ? null : await clientIdOf(admin, dedicatedTo));
  const update = { zone: zone === NONE ? null : zone, dedicated_to: client };
  print(output, [await admin.updateWorker(workerId, version, update)]);
}

function print(output: Output, workers: readonly WorkerRow[]): void {
  const rows = workers.map((worker) => (output.json ? { ...worker } : shownOf(worker)));
  printRows(output, COLUMNS, rows);
}

/** What its machine has as people read it. */
function shownOf({ machine, ...worker }: WorkerRow): Row {
  if (machine === null) return worker;
  const { cpu, memory_bytes, disk_free_bytes, disk_bytes } = machine;
  return {
    ...worker,
    cpu: cpu.toFixed(2),
    memory: formatBytes(memory_bytes),
    disk_free: `${formatBytes(disk_free_bytes)} of ${formatBytes(disk_bytes)}`,
  };
}
