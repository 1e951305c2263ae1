/** `bulkhead key create|list|revoke`. */
import type { NewKey } from './admin-client.ts';
import type { AdminParts } from './admin-options.ts';
import { printJson, printRows } from './output.ts';

const COLUMNS = ['key_id', 'name', 'mode', 'role', 'created_at', 'expires_at', 'revoked_at'];

export async function createKey(
  { admin, output }: AdminParts,
  clientId: string,
  wanted: NewKey,
): Promise<void> {
  const created = await admin.createKey(clientId, wanted);
  if (output.json) {
    printJson(output, { ...created });
    return;
  }
  output.write(`${created.key_id}, shown this once:\n\n  ${created.key}\n`);
}

export async function listKeys({ admin, output }: AdminParts, clientId: string): Promise<void> {
  const keys = await admin.listKeys(clientId);
  printRows(
    output,
    COLUMNS,
    keys.map((key) => ({ ...key })),
  );
}

export async function revokeKey(
  { admin, output }: AdminParts,
  clientId: string,
  keyId: string,
): Promise<void> {
  printRows(output, COLUMNS, [{ ...(await admin.revokeKey(clientId, keyId)) }]);
}
