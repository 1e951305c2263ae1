/** `bulkhead census list|show|take|export|key|verify`. */
import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import path from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { holdProcessOpen, systemClock } from '../../../shared/base/clock.ts';
import { readSeal, sealProblem } from '../../../shared/crypto/census-seal.ts';
import { digestSealedFile, type SealedDigests } from '../../../shared/crypto/sealed-file.ts';
import { CommandError } from '../command-error.ts';
import type { ProgramContext } from '../context.ts';
import { printJson, printRows } from '../output.ts';
import type { AdminClient } from './admin-client.ts';
import { type AdminOptions, addAdminOptions, withAdmin } from './admin-options.ts';
import type { CensusRow } from './census-replies.ts';
import { clientIdOf } from './names.ts';

const COLUMNS = [
  'census',
  'state',
  'finished_at',
  'clients',
  'collections',
  'shards',
  'unknown_shards',
  'points',
  'bytes',
  'memory_bytes',
  'disk_bytes',
];
const CLIENT_COLUMNS = [
  'mode',
  'namespace',
  'collection',
  'shards',
  'unknown_shards',
  'points',
  'bytes',
  'memory_bytes',
  'disk_bytes',
];
const LIST_DEFAULT = 30;
const LIST_MAX = 1_000;
const LOOK_MS = 500;

interface VerifyOptions {
  key: string;
  json?: boolean;
}

export function addCensusCommands(program: Command, { write }: ProgramContext): void {
  const census = program.command('census').description('what every client has, once a day');
  addAdminOptions(census.command('list').description('list censuses, the newest first'))
    .option('--limit <number>', 'so many at most', parseLimit, LIST_DEFAULT)
    .action((options: AdminOptions & { limit: number }) => {
      return withAdmin(options, write, async ({ admin, output }) => {
        const found = await admin.listCensuses(options.limit);
        printRows(output, COLUMNS, found.map(plain));
      });
    });
  addAdminOptions(
    census.command('show [census]').description('show a census, the newest unless said'),
  )
    .option('--client <client>', 'what it found of that client, by collection')
    .action((name: string | undefined, options: AdminOptions & { client?: string }) => {
      return withAdmin(options, write, async ({ admin, output }) => {
        if (options.client === undefined) {
          printRows(output, COLUMNS, [plain(await shown(admin, name))]);
          return;
        }
        const clientId = await clientIdOf(admin, options.client);
        const rows = await admin.clientCensus(clientId, name);
        printRows(
          output,
          CLIENT_COLUMNS,
          rows.map((row) => ({ ...row })),
        );
      });
    });
  addAdminOptions(census.command('take').description('take one now, beside that of the day'))
    .option('--wait', 'until it is there', false)
    .action((options: AdminOptions & { wait: boolean }) => {
      return withAdmin(options, write, async ({ admin, output }) => {
        const row = await admin.takeCensus();
        const census = options.wait ? await untilTaken(admin, row) : row;
        printRows(output, COLUMNS, [plain(census)]);
      });
    });
  addFileCommands(census, write);
}

function addFileCommands(census: Command, write: (text: string) => void): void {
  addAdminOptions(
    census.command('export [census]').description('fetch an archive, the newest unless said'),
  )
    .option('--to <folder>', 'where it is written, under its own name', '.')
    .action((name: string | undefined, options: AdminOptions & { to: string }) => {
      return withAdmin(options, write, async ({ admin, output }) => {
        const row = await shown(admin, name);
        const file = await fetchArchive(admin, row, options.to);
        printRows(output, ['file', 'sha256'], [{ file, sha256: row.sha256 }]);
      });
    });
  addAdminOptions(census.command('key').description('print the key that verifies archives')).action(
    (options: AdminOptions) => {
      return withAdmin(options, write, async ({ admin }) => write(await admin.censusKey()));
    },
  );
  census
    .command('verify <archive>')
    .description('check an archive: needs no service, only the key')
    .requiredOption('--key <file>', 'the public key (PEM), from "census key"')
    .option('--json', 'print JSON')
    .action((file: string, options: VerifyOptions) => verifyArchive(file, options, write));
}

function plain(row: CensusRow) {
  return { ...row };
}

/** Of that name, or the newest of a day. */
async function shown(admin: AdminClient, name: string | undefined): Promise<CensusRow> {
  if (name !== undefined) return admin.showCensus(name);
  const found = await admin.listCensuses(LIST_MAX);
  const newest = found.find(({ kind }) => kind === 'scheduled') ?? found[0];
  if (newest === undefined) throw new CommandError('there is no census yet', { exit: 'notFound' });
  return newest;
}

async function untilTaken(admin: AdminClient, { census }: CensusRow): Promise<CensusRow> {
  // Between two looks nothing is under way.
  const release = holdProcessOpen();
  try {
    for (;;) {
      const row = await admin.showCensus(census);
      if (row.state !== 'under_way') return row;
      await new Promise<void>((resolve) => systemClock.after(LOOK_MS, resolve));
    }
  } finally {
    release();
  }
}

/** Writes the archive into a folder that has no file of its name; what came in part is removed again. */
async function fetchArchive(
  admin: AdminClient,
  { census, file, sha256 }: CensusRow,
  folder: string,
): Promise<string> {
  if (file === null) throw new CommandError(`${census} is under way`, { exit: 'refused' });
  const target = path.join(folder, path.basename(file));
  const handle = await open(target, 'wx').catch((cause: unknown) => {
    throw unusable(target, cause);
  });
  try {
    const digest = createHash('sha256');
    for await (const chunk of admin.censusArchive(census)) {
      digest.update(chunk);
      await handle.writeFile(chunk);
    }
    await handle.sync();
    if (digest.digest('hex') !== sha256) throw new CommandError('the archive did not come whole');
  } catch (error) {
    await rm(target);
    throw error;
  } finally {
    await handle.close();
  }
  return target;
}

/** Throws a `CommandError` when the archive is not good. */
async function verifyArchive(
  file: string,
  { key, json = false }: VerifyOptions,
  write: (text: string) => void,
): Promise<void> {
  const { sha256, content, frame } = await digestsOf(file);
  const name = path.basename(file);
  const problem = sealProblem({ frame, sha256: content, file: name }, keyIn(key));
  const seal = readSeal(frame);
  if (json)
    printJson({ json, write }, { file, sha256, seal, problem, good: problem === undefined });
  if (problem !== undefined || seal === undefined) {
    throw new CommandError(`${file} is not good: ${problem}`);
  }
  if (!json)
    write(`${name} is as it was sealed at ${seal.at}, for ${seal.day}; SHA-256 ${sha256}\n`);
}

async function digestsOf(file: string): Promise<SealedDigests> {
  try {
    return await digestSealedFile(file);
  } catch (cause) {
    throw unusable(file, cause);
  }
}

function keyIn(file: string): KeyObject {
  try {
    return createPublicKey(readFileSync(file));
  } catch (cause) {
    throw unusable(file, cause);
  }
}

function unusable(file: string, cause: unknown): CommandError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new CommandError(`${file} can not be used: ${reason}`, { exit: 'usage', cause });
}

function parseLimit(text: string): number {
  const limit = /^[0-9]{1,4}$/.test(text) ? Number(text) : 0;
  if (limit >= 1 && limit <= LIST_MAX) return limit;
  throw new InvalidArgumentError(`it is a number from 1 to ${LIST_MAX}`);
}
