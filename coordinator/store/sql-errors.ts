/**
 * What SQLite throws, in the words of the error table. A full disk is the caller's to know (the
 * transaction was rolled back, and reads and deletes go on); everything else is our own mistake or
 * a broken machine and travels up as it is, to be logged and answered as `internal`.
 */
import Database from 'better-sqlite3';
import { AppError } from '../../shared/errors/app-error.ts';

const LOCKED_CODES = new Set(['SQLITE_BUSY', 'SQLITE_LOCKED', 'SQLITE_BUSY_RECOVERY']);

/** Runs `action`; a full disk becomes `AppError insufficient_storage`. */
export function guarded<T>(action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof Database.SqliteError) || error.code !== 'SQLITE_FULL') throw error;
    throw new AppError('insufficient_storage', undefined, { detail: error.code, cause: error });
  }
}

/** Whether another process holds the database. */
export function isLocked(error: unknown): boolean {
  return error instanceof Database.SqliteError && LOCKED_CODES.has(error.code);
}
