/**
 * What a disk does to us, in the words of the error table. A full disk is the operator's to mend and the
 * caller's to wait for; one that fails a read, a write or a sync keeps this data away for as long as it
 * does so. Data that are not what was written (`DamagedData`, and what SQLite finds) are away until the
 * shard is made anew. What is left is a defect of ours.
 */
import Database from 'better-sqlite3';
import { InvalidInput } from '../../shared/base/invalid.ts';
import { AppError } from '../../shared/errors/app-error.ts';

/** SHMSIZE: the shared memory file next to the log could not grow. */
const FULL_CODES = new Set(['SQLITE_FULL', 'SQLITE_IOERR_SHMSIZE']);

/** Something read is not what was written. `message` says what, without any of it. */
export class DamagedData extends Error {
  override readonly name = 'DamagedData';
}

/**
 * What SQLite finds wrong with a file; a short read, since it knows how long the file is; and a
 * constraint that we keep ourselves, so that only rows which are not ours can break it.
 */
const DAMAGED_CODES = /^SQLITE_(?:CORRUPT|NOTADB|IOERR_SHORT_READ|CONSTRAINT|MISMATCH)/;
/** The schema is not the one that our statements are for. */
const WRONG_SCHEMA = /^(?:no such|malformed|unsupported file format|table .* has no column)/;

/** A disk that does not do what it was told, or that the system has made read-only for that. */
const FAILED_CODES = /^SQLITE_(?:IOERR|CANTOPEN|READONLY|BUSY|PROTOCOL)/;
const SYSTEM_FULL_CODES = new Set(['ENOSPC', 'EDQUOT']);
const SYSTEM_FAILED_CODES = new Set(['EIO', 'EROFS', 'ENODEV', 'ENXIO', 'EMFILE', 'ENFILE']);

export function isDiskFull(error: unknown): boolean {
  if (error instanceof AppError) return error.code === 'insufficient_storage';
  return error instanceof Database.SqliteError && FULL_CODES.has(error.code);
}

/** Whether the log itself could not grow. */
export function isLogFull(error: unknown): boolean {
  return error instanceof Database.SqliteError && error.code === 'SQLITE_FULL';
}

/** Whether what was read, or found in the way of a write, can not be what we wrote. */
export function isDamage(error: unknown): boolean {
  if (error instanceof AppError) return error.code === 'shard_damaged';
  if (error instanceof DamagedData) return true;
  if (!(error instanceof Database.SqliteError)) return false;
  if (DAMAGED_CODES.test(error.code)) return true;
  return error.code === 'SQLITE_ERROR' && WRONG_SCHEMA.test(error.message);
}

/** Whether the storage failed, so that nothing of the transaction may be trusted. */
export function isStorageFailure(error: unknown): boolean {
  return error instanceof Database.SqliteError || isDamage(error);
}

/** What the caller of a write is told. */
export function toAppError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (error instanceof InvalidInput) {
    return new AppError('invalid_argument', error.message, { cause: error });
  }
  if (isDiskFull(error)) return new AppError('insufficient_storage', undefined, { cause: error });
  const known = fromSystemError(error);
  if (known instanceof AppError) return known;
  const name = error instanceof Database.SqliteError ? error.code : nameOf(error);
  const detail = `${name}: ${error instanceof Error ? error.message : 'not an error'}`;
  const more = { detail, cause: error };
  if (isDamage(error)) return new AppError('shard_damaged', undefined, more);
  return new AppError(FAILED_CODES.test(name) ? 'unavailable' : 'internal', undefined, more);
}

/** The same for an error of the file system; others are left as they are. */
export function fromSystemError(error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error;
  const code = String(error.code);
  const more = { detail: error.message, cause: error };
  if (SYSTEM_FULL_CODES.has(code)) return new AppError('insufficient_storage', undefined, more);
  if (SYSTEM_FAILED_CODES.has(code)) return new AppError('unavailable', undefined, more);
  return error;
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}
