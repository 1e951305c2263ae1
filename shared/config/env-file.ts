/**
 * The env file holds a process's secrets. Format, one setting a line:
 *
 *   # a comment
 *   BULKHEAD_LINK_SECRET=everything up to the end of the line, blanks around it cut off
 *
 * No quotes, no `export`, no expansion: tools disagree on those, so a value in quotes is refused
 * instead of guessed. The file is refused unless it is a regular file (not a symlink) of the user
 * that runs the process and nobody else can read or write it. It is opened once, and the checks
 * look at the open descriptor: a file swapped in between is never read.
 */
import { closeSync, constants, fstatSync, openSync, readFileSync } from 'node:fs';
import { ConfigError } from './config-error.ts';

const FILE_BYTES_MAX = 64 * 1024;
const OTHERS = 0o077;

/** The text of an env file. Throws `ConfigError` when the file may not be trusted. */
export function readEnvFile(path: string): string {
  const descriptor = openEnvFile(path);
  try {
    const stat = fstatSync(descriptor);
    const problem = envFileProblem(stat, process.getuid?.());
    if (problem !== undefined) throw new ConfigError([`env file ${path}: ${problem}`]);
    return readFileSync(descriptor, 'utf8');
  } finally {
    closeSync(descriptor);
  }
}

/** `O_NOFOLLOW` fails on a symlink; `O_NONBLOCK` keeps a pipe from blocking the open. */
function openEnvFile(path: string): number {
  try {
    return openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    const problems: Record<string, string> = {
      ELOOP: 'it is a symbolic link; name the file itself',
      ENOENT: 'it does not exist',
      EACCES: 'it can not be read by this user',
    };
    throw new ConfigError([
      `env file ${path}: ${problems[code] ?? `it can not be opened: ${code}`}`,
    ]);
  }
}

interface FileFacts {
  isFile(): boolean;
  uid: number;
  mode: number;
  size: number;
}

/** Why a file with these facts is not fit to hold the secrets of user `uid`. */
export function envFileProblem(file: FileFacts, uid: number | undefined): string | undefined {
  if (!file.isFile()) return 'it is not a regular file';
  if (uid !== undefined && file.uid !== uid) {
    return `it belongs to user ${file.uid}, but this process runs as user ${uid}`;
  }
  if ((file.mode & OTHERS) !== 0) {
    const mode = (file.mode & 0o777).toString(8).padStart(3, '0');
    return `others may use it (mode ${mode}); run: chmod 600 on it`;
  }
  if (file.size > FILE_BYTES_MAX) return `it is larger than ${FILE_BYTES_MAX} bytes`;
  return undefined;
}

/** The settings of an env file by name. Problems are added to `problems`; values are not shown. */
export function parseEnvFile(text: string, problems: string[]): Map<string, string> {
  const settings = new Map<string, string>();
  for (const [index, raw] of text.split('\n').entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const where = `env file, line ${index + 1}`;
    const match = /^([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*(.*)$/.exec(line);
    const [, name, value] = match ?? [];
    if (name === undefined || value === undefined) problems.push(`${where}: write NAME=value`);
    else if (settings.has(name)) problems.push(`${where}: ${name} is there twice`);
    else if (/^(["']).*\1$/.test(value)) problems.push(`${where}: write ${name} without quotes`);
    else settings.set(name, value);
  }
  return settings;
}
