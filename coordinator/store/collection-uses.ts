/**
 * When collections were used last, and which of them are paused. A row is made when a collection is first
 * looked at, and goes with it.
 */
import type Database from 'better-sqlite3';
import type { CollectionId } from '../../shared/base/ids.ts';
import { guarded } from './sql-errors.ts';

/** `idle`: it was not used for long, and its next request wakes it; `manual`: an operator does. */
export type CollectionPause = 'idle' | 'manual';

export interface CollectionUse {
  collectionId: CollectionId;
  /** Milliseconds since 1970; up to some time before the last use, when a process was killed. */
  usedAt: number;
  pause: CollectionPause | null;
  /** Why an operator paused it. */
  reason: string | null;
  pausedAt: number | null;
}

const COLUMNS =
  'collection_id AS collectionId, used_at AS usedAt, pause, reason, paused_at AS pausedAt';

export class CollectionUsesTable {
  readonly #all: Database.Statement<[], CollectionUse>;
  readonly #put: Database.Statement<[CollectionUse]>;

  constructor(database: Database.Database) {
    this.#all = database.prepare(`SELECT ${COLUMNS} FROM collection_uses`);
    // One that was erased meanwhile has no row any more.
    this.#put = database.prepare(
      `INSERT INTO collection_uses (collection_id, used_at, pause, reason, paused_at)
         SELECT @collectionId, @usedAt, @pause, @reason, @pausedAt
          WHERE EXISTS (SELECT 1 FROM collections WHERE collection_id = @collectionId)
       ON CONFLICT (collection_id) DO UPDATE SET used_at = excluded.used_at,
         pause = excluded.pause, reason = excluded.reason, paused_at = excluded.paused_at`,
    );
  }

  all(): CollectionUse[] {
    return this.#all.all();
  }

  put(use: CollectionUse): void {
    guarded(() => this.#put.run(use));
  }
}
