/** `bulkhead worker list|show`. */
import type { Command } from 'commander';
import type { ProgramContext } from '../context.ts';
import { printRows } from '../output.ts';
import { type AdminOptions, addAdminOptions, withAdmin } from './admin-options.ts';

const COLUMNS = ['worker_id', 'connected', 'shards', 'in_flight', 'first_seen_at', 'last_seen_at'];

export function addWorkerCommands(program: Command, { write }: ProgramContext): void {
  const worker = program.command('worker').description('processes that hold the data');
  addAdminOptions(
    worker.command('list').description('list workers, also those that are away'),
  ).action((options: AdminOptions) => {
    return withAdmin(options, write, async ({ admin, output }) => {
      printRows(
        output,
        COLUMNS,
        (await admin.workers()).map((row) => ({ ...row })),
      );
    });
  });
  addAdminOptions(worker.command('show <worker>').description('show a worker')).action(
    (workerId: string, options: AdminOptions) => {
      return withAdmin(options, write, async ({ admin, output }) => {
        printRows(output, COLUMNS, [{ ...(await admin.showWorker(workerId)) }]);
      });
    },
  );
}
