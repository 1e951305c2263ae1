/** `bulkhead key create|list|show|set|rotate|revoke`. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { ROLES } from '../../../shared/domain/permissions.ts';
import { CommandError } from '../command-error.ts';
import type { ProgramContext } from '../context.ts';
import { type Output, printJson, printRows, type Row } from '../output.ts';
import type { KeyTerms } from './admin-client.ts';
import { type AdminOptions, type AdminParts, addAdminOptions, withAdmin } from './admin-options.ts';
import type { KeyRow, KeyWithSecret } from './admin-replies.ts';
import { addConfirmOption, type ConfirmOptions, confirm } from './confirm.ts';
import { clientIdOf } from './names.ts';
import { parseDuration, parseExpiry } from './times.ts';

const COLUMNS = [
  ...['key_id', 'name', 'mode', 'role', 'namespaces', 'rate', 'expires_at', 'last_used_at'],
  ...['revoked_at', 'older_secret_until'],
];

interface TermOptions {
  name?: string;
  role?: string;
  namespace?: string[];
  allNamespaces?: boolean;
  rate?: number | 'none';
  expires?: string;
}

export function addKeyCommands(program: Command, context: ProgramContext): void {
  const key = program.command('key').description('API keys of a client');
  addCreate(key, context);
  addReads(key, context);
  addChanges(key, context);
}

function addCreate(key: Command, { write }: ProgramContext): void {
  addTermOptions(key.command('create <client>').description('create a key, shown this once'))
    .option('--test', 'a key for test data, which is apart from live data', false)
    .action((client: string, options: AdminOptions & TermOptions & { test: boolean }) => {
      const mode = options.test ? 'test' : 'live';
      return withAdmin(options, write, async ({ admin, output }) => {
        const clientId = await clientIdOf(admin, client);
        printSecret(output, await admin.createKey(clientId, { mode, ...termsOf(options) }));
      });
    });
}

function addReads(key: Command, { write }: ProgramContext): void {
  addAdminOptions(key.command('list <client>').description('list keys of a client')).action(
    (client: string, options: AdminOptions) => {
      return withAdmin(options, write, async ({ admin, output }) => {
        print(output, await admin.listKeys(await clientIdOf(admin, client)));
      });
    },
  );
  addAdminOptions(
    key.command('show <client> <key>').description('show a key, not its secret'),
  ).action((client: string, keyId: string, options: AdminOptions) => {
    return withAdmin(options, write, async ({ admin, output }) => {
      print(output, [await admin.showKey(await clientIdOf(admin, client), keyId)]);
    });
  });
}

function addChanges(key: Command, context: ProgramContext): void {
  const { write } = context;
  addConfirmOption(
    addTermOptions(key.command('set <client> <key>').description('change what a key may do')),
  )
    .option('--grace <duration>', 'until the secret before the last rotation ends', parseDuration)
    .action((client: string, keyId: string, options: AdminOptions & SetOptions) => {
      return withAdmin(options, write, async (parts) => {
        if (options.grace === 0) await confirm(options, context, endsSecret(keyId));
        await setKey(parts, client, keyId, options);
      });
    });
  const rotate = key.command('rotate <client> <key>').description('give a key another secret');
  addConfirmOption(addAdminOptions(rotate))
    .option(
      '--grace <duration>',
      'until the one before ends: 24h unless said, or now',
      parseDuration,
    )
    .action((client: string, keyId: string, options: AdminOptions & RotateOptions) => {
      return withAdmin(options, write, async ({ admin, output }) => {
        if (options.grace === 0) await confirm(options, context, endsSecret(keyId));
        const clientId = await clientIdOf(admin, client);
        printSecret(output, await admin.rotateKey(clientId, keyId, options.grace));
      });
    });
  const revoke = key.command('revoke <client> <key>');
  addConfirmOption(
    addAdminOptions(revoke.description('revoke a key, at once and for good')),
  ).action((client: string, keyId: string, options: AdminOptions & ConfirmOptions) => {
    return withAdmin(options, write, async ({ admin, output }) => {
      const clientId = await clientIdOf(admin, client);
      const { name } = await admin.showKey(clientId, keyId);
      await confirm(options, context, { what: `revokes the key "${name}" for good`, name: keyId });
      print(output, [await admin.revokeKey(clientId, keyId)]);
    });
  });
}

function addTermOptions(command: Command): Command {
  return addAdminOptions(command)
    .option('--name <text>', 'what the key is for')
    .addOption(new Option('--role <role>', 'what it may do').choices(ROLES))
    .option('--namespace <name>', 'one that it may touch; may be said several times', collect)
    .addOption(new Option('--all-namespaces', 'it may touch all of them').conflicts('namespace'))
    .option('--rate <n>', 'requests a second of this key alone, or none', parseRate)
    .option('--expires <time>', 'RFC 3339, or a duration such as 90d, or never', parseExpiry);
}

type RotateOptions = ConfirmOptions & { grace?: number };
type SetOptions = TermOptions & RotateOptions;

function endsSecret(keyId: string) {
  return { what: `ends the secret of ${keyId} that is in use, at once`, name: keyId };
}

async function setKey(
  { admin, output }: AdminParts,
  client: string,
  keyId: string,
  options: SetOptions,
): Promise<void> {
  const { grace } = options;
  const change = { ...termsOf(options), ...(grace !== undefined && { grace_seconds: grace }) };
  if (Object.keys(change).length === 0) {
    throw new CommandError('nothing to set: see --help', { exit: 'usage' });
  }
  const clientId = await clientIdOf(admin, client);
  const { version } = await admin.showKey(clientId, keyId);
  print(output, [await admin.updateKey(clientId, keyId, version, change)]);
}

function termsOf({ name, role, namespace, allNamespaces, rate, expires }: TermOptions): KeyTerms {
  const namespaces = allNamespaces === true ? null : namespace;
  return {
    ...(name !== undefined && { name }),
    ...(role !== undefined && { role }),
    ...(namespaces !== undefined && { namespaces }),
    ...(rate !== undefined && { requests_per_second: rate === 'none' ? null : rate }),
    ...(expires !== undefined && { expires_at: expires === 'never' ? null : expires }),
  };
}

function collect(text: string, before: string[] = []): string[] {
  return [...before, text];
}

/** (To the library, null is no value.) */
function parseRate(text: string): number | 'none' {
  if (text === 'none') return text;
  if (/^[1-9][0-9]{0,8}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('It is a whole number from 1 on, or none.');
}

function printSecret(output: Output, created: KeyWithSecret): void {
  if (output.json) printJson(output, { ...created });
  else output.write(`${created.key_id}, shown this once:\n\n  ${created.key}\n`);
}

function print(output: Output, keys: readonly KeyRow[]): void {
  const rows = keys.map((key) => (output.json ? { ...key } : rowOf(key)));
  printRows(output, COLUMNS, rows);
}

function rowOf(key: KeyRow): Row {
  return {
    ...key,
    namespaces: key.namespaces?.join(' ') ?? 'all',
    rate: key.requests_per_second,
    older_secret_until: key.secrets.find(({ ends_at }) => ends_at !== null)?.ends_at,
  };
}
