/**
 * One process a data folder. The lock is an exclusive transaction on a SQLite file that stays open
 * for the process's life: a lock of the operating system, so it is gone with the process however
 * that ends, and there is no stale file to judge. Nothing else in the process may open the file
 * (closing any descriptor of it would drop the lock).
 */
import path from 'node:path';
import Database from 'better-sqlite3';
import { makeFolderDurably } from '../../shared/base/durable-folder.ts';
import { InUse } from '../../shared/base/in-use.ts';

const LOCK_FILE = 'lock.db';

/**
 * A connection that nobody refers to is closed by the garbage collector, and its lock is gone.
 * Whoever drops the result of `lockFolder` means to hold the lock until the process ends.
 */
const held = new Set<Database.Database>();

export interface FolderLock {
  release(): void;
}

/** Makes the folder when it is not there. Throws `InUse` when another process holds the lock. */
export function lockFolder(folder: string): FolderLock {
  makeFolderDurably(folder);
  const db = new Database(path.join(folder, LOCK_FILE), { timeout: 0 });
  try {
    // With the journal in memory the held transaction keeps no second file.
    db.pragma('journal_mode = MEMORY');
    db.exec('BEGIN EXCLUSIVE');
  } catch (error) {
    db.close();
    const busy = error instanceof Database.SqliteError && error.code.startsWith('SQLITE_BUSY');
    throw busy ? new InUse(folder, 'worker', { cause: error }) : error;
  }
  held.add(db);
  return {
    release() {
      held.delete(db);
      db.close();
    },
  };
}
