/** `bulkhead audit verify|verify-anchors`: of files alone, with the public key. */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { createReadStream, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { AnchorsVerifier } from '../../../shared/crypto/anchors-verifier.ts';
import { type AuditVerdict, AuditVerifier } from '../../../shared/crypto/audit-verifier.ts';
import {
  isSigned,
  parseSigned,
  type SignedCheckpoint,
  type SignedHead,
} from '../../../shared/crypto/signed-lines.ts';
import { CommandError } from '../command-error.ts';
import { printJson } from '../output.ts';

interface AnchorsOptions {
  key: string;
  json?: boolean;
}

interface VerifyOptions extends AnchorsOptions {
  known?: string[];
}

type Write = (text: string) => void;

const ANCHORS_NAME = /^audit-anchors-([0-9]{6,15})\.jsonl$/;
const KEY_HELP = 'the public key (PEM), from "audit key"';

export function addVerifyCommands(audit: Command, write: Write): void {
  audit
    .command('verify <export>')
    .description('check an export: needs no service, only the key')
    .requiredOption('--key <file>', KEY_HELP)
    .option('--known <files...>', 'what was signed before: audit-anchors-*.jsonl, or exports')
    .option('--json', 'print JSON')
    .action((file: string, options: VerifyOptions) => verifyExport(file, options, write));
  audit
    .command('verify-anchors <folder>')
    .description('check that no file of anchors was changed, and that none is missing among them')
    .requiredOption('--key <file>', KEY_HELP)
    .option('--json', 'print JSON')
    .action((folder: string, options: AnchorsOptions) => verifyAnchors(folder, options, write));
}

/** Throws a `CommandError` when they are not good. */
function verifyAnchors(folder: string, { key, json = false }: AnchorsOptions, write: Write): void {
  const verifier = new AnchorsVerifier(keyIn(key));
  for (const { number, file } of anchorFilesIn(folder)) verifier.take(number, bytesOf(file));
  const { problem, first, last, anchors, anchoredAt, torn } = verifier.verdict;
  if (json) printJson({ json, write }, { ...verifier.verdict, good: problem === undefined });
  if (problem !== undefined) {
    const { file, line } = problem;
    throw new CommandError(`anchors are not good: file ${file}, line ${line}: ${problem.problem}`);
  }
  if (last === undefined) throw new CommandError(`${folder} has no files of anchors`);
  const good = `files ${first} to ${last} are as they were written: ${anchors} anchors`;
  const crashed = torn === 0 ? '' : `; crashes have left ${torn} lines in part`;
  if (!json) write(`${good}, the last at ${anchoredAt ?? 'no time'}${crashed}\n`);
}

function anchorFilesIn(folder: string): { number: number; file: string }[] {
  try {
    const found = readdirSync(folder).flatMap((name) => {
      const number = Number(ANCHORS_NAME.exec(name)?.[1] ?? 0);
      return number === 0 ? [] : [{ number, file: path.join(folder, name) }];
    });
    return found.toSorted((a, b) => a.number - b.number);
  } catch (cause) {
    throw unreadable(folder, cause);
  }
}

/** Throws a `CommandError` when the export is not good. */
async function verifyExport(
  file: string,
  { key, known = [], json = false }: VerifyOptions,
  write: Write,
): Promise<void> {
  const publicKey = keyIn(key);
  const before = known.flatMap((one) => signedIn(one, publicKey));
  const verifier = new AuditVerifier(publicKey, before);
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

/** Not by `readline`, to which U+2028 and U+2029 end a line: canonical JSON has them as they are. */
async function* linesOf(file: string): AsyncIterable<string> {
  let rest = '';
  try {
    for await (const part of createReadStream(file, { encoding: 'utf8' })) {
      const lines = `${rest}${part}`.split('\n');
      rest = lines.pop() ?? '';
      yield* lines;
    }
  } catch (cause) {
    throw unreadable(file, cause);
  }
  if (rest !== '') yield rest;
}

function keyIn(file: string): KeyObject {
  try {
    return createPublicKey(bytesOf(file));
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

function bytesOf(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (cause) {
    throw unreadable(file, cause);
  }
}

/** Of whatever file has some, a line each. Throws a `CommandError` for a file that has none of the key. */
function signedIn(file: string, key: KeyObject): (SignedHead | SignedCheckpoint)[] {
  const lines = bytesOf(file).toString('utf8').split('\n');
  const found = lines.flatMap(
    (line) => parseSigned('head', line) ?? parseSigned('checkpoint', line) ?? [],
  );
  const isSome = found.some((one) => {
    return 'head' in one ? isSigned('head', one, key) : isSigned('checkpoint', one, key);
  });
  if (!isSome) throw new CommandError(`${file} has nothing that was signed by the key`);
  return found;
}

function unreadable(file: string, cause: unknown): CommandError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new CommandError(`${file} can not be read: ${reason}`, { exit: 'usage', cause });
}
