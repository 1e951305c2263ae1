/** `bulkhead client create|list`. */
import type { AdminParts } from './admin-options.ts';
import { printRows } from './output.ts';

const COLUMNS = ['client_id', 'name', 'state', 'created_at'];

export async function createClient({ admin, output }: AdminParts, name: string): Promise<void> {
  printRows(output, COLUMNS, [{ ...(await admin.createClient(name)) }]);
}

export async function listClients({ admin, output }: AdminParts): Promise<void> {
  const clients = await admin.listClients();
  printRows(
    output,
    COLUMNS,
    clients.map((client) => ({ ...client })),
  );
}
