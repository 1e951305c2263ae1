/** `bulkhead audit list`. */
import type { Command } from 'commander';
import type { ProgramContext } from '../context.ts';
import { printRows } from '../output.ts';
import { type AdminOptions, addAdminOptions, withAdmin } from './admin-options.ts';

const COLUMNS = ['sequence', 'at', 'actor', 'action', 'target', 'request_id'];

export function addAuditCommands(program: Command, { write }: ProgramContext): void {
  const audit = program.command('audit').description('what operators and keys changed');
  addAdminOptions(audit.command('list').description('list changes, oldest first'))
    .option('--target <id>', 'of one client, key, plan or worker only')
    .action((options: AdminOptions & { target?: string }) => {
      return withAdmin(options, write, async ({ admin, output }) => {
        const entries = await admin.listAudit(options.target);
        printRows(
          output,
          COLUMNS,
          entries.map((entry) => ({ ...entry })),
        );
      });
    });
}
