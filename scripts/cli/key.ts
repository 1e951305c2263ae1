/** `bulkhead key create|list|revoke`. */
import { type Command, Option } from 'commander';
import { ROLE_DEFAULT, ROLES, type Role } from '../../shared/domain/permissions.ts';
import type { NewKey } from './admin-client.ts';
import { type AdminOptions, type AdminParts, addAdminOptions, withAdmin } from './admin-options.ts';
import type { ProgramContext } from './context.ts';
import { printJson, printRows } from './output.ts';

const COLUMNS = ['key_id', 'name', 'mode', 'role', 'created_at', 'expires_at', 'revoked_at'];

export function addKeyCommands(program: Command, context: ProgramContext): void {
  const key = program.command('key').description('API keys of a client');
  addAdminOptions(key.command('create <client-id>').description('create a key, shown this once'))
    .option('--name <text>', 'what the key is for', 'key')
    .option('--test', 'a key for test data, which is apart from live data', false)
    .addOption(new Option('--role <role>', 'what it may do').choices(ROLES).default(ROLE_DEFAULT))
    .action(
      (clientId: string, options: AdminOptions & { name: string; test: boolean; role: Role }) => {
        const mode = options.test ? 'test' : 'live';
        const wanted = { name: options.name, mode, role: options.role } as const;
        return withAdmin(options, context.write, (parts) => createKey(parts, clientId, wanted));
      },
    );
  addAdminOptions(key.command('list <client-id>').description('list keys of a client')).action(
    (clientId: string, options: AdminOptions) => {
      return withAdmin(options, context.write, (parts) => listKeys(parts, clientId));
    },
  );
  addAdminOptions(
    key.command('revoke <client-id> <key-id>').description('revoke a key, at once and for good'),
  ).action((clientId: string, keyId: string, options: AdminOptions) => {
    return withAdmin(options, context.write, (parts) => revokeKey(parts, clientId, keyId));
  });
}

async function createKey(
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

async function listKeys({ admin, output }: AdminParts, clientId: string): Promise<void> {
  const keys = await admin.listKeys(clientId);
  printRows(
    output,
    COLUMNS,
    keys.map((key) => ({ ...key })),
  );
}

async function revokeKey(
  { admin, output }: AdminParts,
  clientId: string,
  keyId: string,
): Promise<void> {
  printRows(output, COLUMNS, [{ ...(await admin.revokeKey(clientId, keyId)) }]);
}
