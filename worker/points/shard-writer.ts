/**
 * The one writer of one shard. `commit` puts a group of ops into one transaction, so that they
 * share its sync, and answers for each op when COMMIT has returned.
 *
 *   BEGIN IMMEDIATE
 *     SAVEPOINT op   apply   RELEASE             the op is in
 *     SAVEPOINT op   apply   ROLLBACK TO op      the op failed by itself (a point is missing); it
 *     ...                                        leaves its version free and spoils nothing
 *   COMMIT                                       now the group is on disk
 *
 * A commit that failed in its sync may be on the disk, or in the log without being on the disk. Whoever
 * waits hears that the outcome is unknown, the connection is given up, and the next one settles the log
 * (`schema.ts`) before it does anything else: what it then finds is the truth.
 *
 * When the disk is full inside a group, all of it is rolled back, the log is folded into the
 * database to get its space back, and each op is tried alone, once more if need be: deletes may still
 * fit. To let them, growing ops are refused beforehand while less than the reserve would be left.
 */
import { statfsSync } from 'node:fs';
import type Database from 'better-sqlite3';
import { must } from '../../shared/base/assert.ts';
import { syncFolder } from '../../shared/base/durable-folder.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import { RowWriter } from './row-writer.ts';
import { openForWrites, settleLog } from './schema.ts';
import { isDiskFull, isLogFull, isStorageFailure, toAppError } from './storage-errors.ts';
import { growthBytes, type WriteOp, type WriteOutcome } from './write-op.ts';

export type OpResult = { outcome: WriteOutcome } | { error: AppError };

export interface ShardWriterOptions {
  diskReserveBytes: number;
  tombstonesMax?: number;
  /** Free bytes of the disk that holds `folder`; for tests. */
  freeBytes?: (folder: string) => number;
  /** Whether all that is in the log was synced: nobody but this thread wrote it, and no sync failed. */
  settled?: boolean;
}

/** What is written stands for a while in the log and in the database. */
const COPIES = 2;

export class ShardWriter {
  readonly #folder: string;
  readonly #db: Database.Database;
  readonly #rows: RowWriter;
  readonly #reserveBytes: number;
  readonly #freeBytes: (folder: string) => number;
  readonly #begin: Database.Statement;
  readonly #commit: Database.Statement;
  readonly #savepoint: Database.Statement;
  readonly #release: Database.Statement;
  readonly #undo: Database.Statement;
  #broken = false;
  /** Whether the log's entry in its folder is durable. */
  #isLogNamed = false;

  constructor(folder: string, options: ShardWriterOptions) {
    const { diskReserveBytes, tombstonesMax = LIMITS.tombstonesMax, freeBytes, settled } = options;
    this.#folder = folder;
    this.#reserveBytes = diskReserveBytes;
    this.#freeBytes = freeBytes ?? diskFreeBytes;
    this.#db = openForWrites(folder);
    try {
      if (settled !== true) settleLog(this.#db);
      this.#rows = new RowWriter(this.#db, { tombstonesMax });
      this.#begin = this.#db.prepare('BEGIN IMMEDIATE');
      this.#commit = this.#db.prepare('COMMIT');
      this.#savepoint = this.#db.prepare('SAVEPOINT op');
      this.#release = this.#db.prepare('RELEASE op');
      this.#undo = this.#db.prepare('ROLLBACK TO op');
    } catch (error) {
      this.#db.close();
      throw error;
    }
  }

  /** After a failure of the disk the connection is not used again. */
  get broken(): boolean {
    return this.#broken;
  }

  close(): void {
    this.#db.close();
  }

  /** Applies the ops in order. The results, one an op, hold as soon as this returns. */
  commit(ops: readonly WriteOp[]): OpResult[] {
    try {
      return this.#transaction(ops);
    } catch (error) {
      this.#recover(error);
      const mayFit = isDiskFull(error) && !this.#broken;
      if (mayFit && ops.length > 1) return ops.flatMap((op) => this.commit([op]));
      return mayFit ? this.#commitAgain(ops) : ops.map(() => ({ error: toAppError(error) }));
    }
  }

  /** The log has given its space back by now. */
  #commitAgain(ops: readonly WriteOp[]): OpResult[] {
    try {
      return this.#transaction(ops);
    } catch (error) {
      this.#recover(error);
      return ops.map(() => ({ error: toAppError(error) }));
    }
  }

  #transaction(ops: readonly WriteOp[]): OpResult[] {
    let room = this.#freeBytes(this.#folder) - this.#reserveBytes;
    this.#begin.run();
    const results = ops.map((op): OpResult => {
      const growth = COPIES * growthBytes(op);
      if (growth > 0 && growth > room) return { error: new AppError('insufficient_storage') };
      room -= growth;
      return this.#applyIsolated(op, ops.length === 1);
    });
    if (results.every((result) => 'error' in result)) {
      this.#db.exec('ROLLBACK');
      return results;
    }
    this.#rows.pruneTombstones();
    this.#rows.saveCounters();
    this.#commitDurably();
    return results;
  }

  /** An op that is alone needs no savepoint: the transaction is its own. */
  #applyIsolated(op: WriteOp, alone: boolean): OpResult {
    const before = this.#rows.counters;
    if (!alone) this.#savepoint.run();
    try {
      const outcome = this.#rows.apply(op);
      if (!alone) this.#release.run();
      return { outcome };
    } catch (error) {
      if (isStorageFailure(error)) throw error;
      if (!alone) {
        this.#undo.run();
        this.#release.run();
      }
      this.#rows.counters = before;
      return { error: toAppError(error) };
    }
  }

  #commitDurably(): void {
    try {
      this.#commit.run();
      // SQLite syncs the entry of a new log, too, and takes no notice when that fails. What it has
      // just made durable costs nothing to sync once more.
      if (!this.#isLogNamed) syncFolder(this.#folder);
      this.#isLogNamed = true;
    } catch (error) {
      // The frame that commits is written last: where it did not fit, nothing is committed.
      if (isLogFull(error)) throw error;
      this.#broken = true;
      throw new AppError('write_outcome_unknown', undefined, {
        detail: toAppError(error).detail ?? '',
        cause: error,
      });
    }
  }

  /** Back to the last commit. What fails here leaves the connection unfit for use. */
  #recover(failure: unknown): void {
    try {
      if (this.#db.inTransaction) this.#db.exec('ROLLBACK');
      this.#rows.loadCounters();
      if (isDiskFull(failure)) this.#db.pragma('wal_checkpoint(TRUNCATE)');
      else this.#broken = true;
    } catch (error) {
      // A checkpoint that finds no room for the database to grow says so; nothing is lost by it.
      if (!isDiskFull(error)) this.#broken = true;
    }
  }
}

function diskFreeBytes(folder: string): number {
  const { bavail, bsize } = statfsSync(folder);
  return must(bavail, 'statfs knows the free blocks') * bsize;
}
