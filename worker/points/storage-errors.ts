/**
 * SQLite's errors as ours. A full disk is the operator's to mend and the caller's to wait for;
 * everything else that the disk does to us is an internal error.
 */
import Database from 'better-sqlite3';
import { InvalidInput } from '../../shared/base/invalid.ts';
import { AppError } from '../../shared/errors/app-error.ts';

/** SHMSIZE: the shared memory file next to the log could not grow. */
const FULL_CODES = new Set(['SQLITE_FULL', 'SQLITE_IOERR_SHMSIZE']);

export function isDiskFull(error: unknown): boolean {
  if (error instanceof AppError) return error.code === 'insufficient_storage';
  return error instanceof Database.SqliteError && FULL_CODES.has(error.code);
}

/**
 * Whether the storage failed, so that nothing of the transaction may be trusted; a constraint that
 * one op broke is not that.
 */
export function isStorageFailure(error: unknown): boolean {
  return error instanceof Database.SqliteError && !error.code.startsWith('SQLITE_CONSTRAINT');
}

/** What the caller of a write is told. */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (error instanceof InvalidInput) {
    return new AppError('invalid_argument', error.message, { cause: error });
  }
  if (isDiskFull(error)) return new AppError('insufficient_storage', undefined, { cause: error });
  const name = error instanceof Database.SqliteError ? error.code : nameOf(error);
  const detail = `${name}: ${error instanceof Error ? error.message : 'not an error'}`;
  return new AppError('internal', undefined, { detail, cause: error });
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}
