/**
 * The folder of everything that is stored. It is made level by level: Node's recursive form never
 * returns where a file system says "no such folder" of a level that it has just refused to make
 * (`/proc/x`).
 */
import { mkdirSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { syncFolder } from '../../../shared/base/durable-folder.ts';
import { CommandError, systemCode } from '../command-error.ts';

/** Makes the folder when it is absent. Throws a `CommandError` when it can not be one. */
export function makeDataFolder(folder: string): void {
  const missing: string[] = [];
  let level = folder;
  try {
    for (;;) {
      const found = lookAt(level);
      if (found?.isDirectory() === true) break;
      if (found !== undefined) throw new CommandError(`${level} is not a folder${NAME_ANOTHER}`);
      missing.push(level);
      level = dirname(level);
    }
    for (const next of missing.toReversed()) {
      level = next;
      makeLevel(level);
    }
  } catch (error) {
    throw asDataFolderError(level, error);
  }
}

/** Durably: keys that are shown once hang on it. Another process may make it at the same time. */
function makeLevel(level: string): void {
  try {
    mkdirSync(level, { mode: 0o700 });
    syncFolder(dirname(level));
  } catch (error) {
    if (systemCode(error) !== 'EEXIST' || lookAt(level)?.isDirectory() !== true) throw error;
  }
}

/** A file as a level above the folder is as absent as the folder: the walk up comes to it. */
function lookAt(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error) ?? '')) return undefined;
    throw error;
  }
}

const NAME_ANOTHER = ': name another folder with --data';

const REASONS: Record<string, string> = {
  EACCES: 'this user may not write there',
  EPERM: 'this user may not write there',
  EROFS: 'the file system is read-only',
  ENOSPC: 'the disk is full',
  ENOENT: 'the file system does not take it',
  EEXIST: 'something else is there',
  ENAMETOOLONG: 'the name is too long',
};

/** A system error as a sentence about the data folder; what is not one stays as it is. */
export function asDataFolderError(path: string, error: unknown): unknown {
  const code = systemCode(error);
  if (code === undefined || !/^E[A-Z0-9]+$/.test(code)) return error;
  const reason = REASONS[code] ?? code;
  return new CommandError(`cannot use ${path}, ${reason}${NAME_ANOTHER}`, { cause: error });
}
