/** `bulkhead anomalies [client]`. */
import type { Command } from 'commander';
import type { ProgramContext } from '../context.ts';
import { printRows } from '../output.ts';
import { type AdminOptions, addAdminOptions, withAdmin } from './admin-options.ts';
import { clientIdOf } from './names.ts';

const COLUMNS = ['client_id', 'hour', 'measure', 'value', 'usual', 'limit'];

export function addAnomaliesCommand(program: Command, { write }: ProgramContext): void {
  const command = program.command('anomalies [client]');
  const what = "hours that were far outside of a client's own history";
  addAdminOptions(command.description(what)).action(
    (client: string | undefined, options: AdminOptions) => {
      return withAdmin(options, write, async ({ admin, output }) => {
        const clientId = client === undefined ? undefined : await clientIdOf(admin, client);
        const rows = await admin.billing.anomalies(clientId);
        printRows(
          output,
          COLUMNS,
          rows.map((row) => ({ ...row })),
        );
      });
    },
  );
}
