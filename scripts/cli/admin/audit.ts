/** `bulkhead audit list|export|key`, and what verifies (`audit-verify.ts`). */
import { type Command, InvalidArgumentError } from 'commander';
import type { ProgramContext } from '../context.ts';
import { printRows } from '../output.ts';
import { type AdminOptions, addAdminOptions, withAdmin } from './admin-options.ts';
import { addVerifyCommands } from './audit-verify.ts';
import { clientIdOf } from './names.ts';

const COLUMNS = ['sequence', 'at', 'actor', 'action', 'target', 'request_id'];

interface ExportOptions {
  client?: string;
  after?: number;
}

export function addAuditCommands(program: Command, { write }: ProgramContext): void {
  const audit = program.command('audit').description('what operators, keys and requests did');
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
  addAdminOptions(audit.command('export').description('print a chain, for "audit verify"'))
    .option('--client <client>', "a client's; the operators' unless said")
    .option('--after <number>', 'only entries after that one', parseSequence)
    .action((options: AdminOptions & ExportOptions) => {
      return withAdmin(options, write, async ({ admin }) => {
        const { client, after = 0 } = options;
        const clientId = client === undefined ? undefined : await clientIdOf(admin, client);
        for await (const lines of admin.exportAudit(clientId, after)) write(lines);
      });
    });
  addAdminOptions(audit.command('key').description('print the key that verifies exports')).action(
    (options: AdminOptions) => {
      return withAdmin(options, write, async ({ admin }) => write(await admin.auditKey()));
    },
  );
  addVerifyCommands(audit, write);
}

function parseSequence(text: string): number {
  if (/^[0-9]{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('it is the number of an entry');
}
