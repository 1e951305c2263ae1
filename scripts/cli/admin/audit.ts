/** `bulkhead audit list|export|key|verify`. */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { createReadStream, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { type Command, InvalidArgumentError } from 'commander';
import { type AuditVerdict, AuditVerifier } from '../../../shared/crypto/audit-verifier.ts';
import {
  parseSigned,
  type SignedCheckpoint,
  type SignedHead,
} from '../../../shared/crypto/signed-lines.ts';
import { CommandError } from '../command-error.ts';
import type { ProgramContext } from '../context.ts';
import { printJson, printRows } from '../output.ts';
import { type AdminOptions, addAdminOptions, withAdmin } from './admin-options.ts';
import { clientIdOf } from './names.ts';

const COLUMNS = ['sequence', 'at', 'actor', 'action', 'target', 'request_id'];

interface ExportOptions {
  client?: string;
  after?: number;
}

interface VerifyOptions {
  key: string;
  known?: string;
  json?: boolean;
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
  audit
    .command('verify <export>')
    .description('check an export: needs no service, only the key')
    .requiredOption('--key <file>', 'the public key (PEM), from "audit key"')
    .option('--known <file>', 'heads that were kept before: audit-anchors.jsonl, or an export')
    .option('--json', 'print JSON')
    .action((file: string, options: VerifyOptions) => verifyExport(file, options, write));
}

/** Throws a `CommandError` when the export is not good. */
async function verifyExport(
  file: string,
  { key, known, json = false }: VerifyOptions,
  write: (text: string) => void,
): Promise<void> {
  const verifier = new AuditVerifier(keyIn(key), known === undefined ? [] : signedIn(known));
  for await (const line of linesOf(file)) verifier.take(line);
  const verdict = verifier.end();
  if (json) printJson({ json, write }, { ...verdict, good: verdict.problem === undefined });
  const { problem } = verdict;
  if (problem !== undefined) {
    throw new CommandError(`${file} is not good: line ${problem.line}: ${problem.problem}`);
  }
  if (!json) write(`${describe(verdict)}\n`);
}

function describe({ chain, entries, start, after = 0, end, ...signed }: AuditVerdict): string {
  const good = `${entries} entries of the chain ${chain} are as they were signed`;
  const span = `${good}, from ${after + 1} to ${end}, at ${signed.signedAt}`;
  if (start === 'head') return `${span}; those before are not in the export`;
  const { pruned } = signed;
  if (pruned === undefined) return span;
  return `${span}; those up to ${pruned.sequence} were pruned at ${pruned.at}, which is signed, too`;
}

async function* linesOf(file: string): AsyncIterable<string> {
  const input = createReadStream(file);
  try {
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      yield line;
    }
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

function keyIn(file: string): KeyObject {
  try {
    return createPublicKey(readFileSync(file));
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

/** Of whatever file has some, a line each. */
function signedIn(file: string): (SignedHead | SignedCheckpoint)[] {
  try {
    return readFileSync(file, 'utf8')
      .split('\n')
      .flatMap((line) => parseSigned('head', line) ?? parseSigned('checkpoint', line) ?? []);
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

function unreadable(file: string, cause: unknown): CommandError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new CommandError(`${file} can not be read: ${reason}`, { exit: 'usage', cause });
}

function parseSequence(text: string): number {
  if (/^[0-9]{1,15}$/.test(text)) return Number(text);
  throw new InvalidArgumentError('it is the number of an entry');
}
