/**
 * The keys under which clients wrote, each with the digest of the request that it first came with: the
 * same key with another request is refused, whatever that would write to. What became of the request
 * is not known here but to the shards that it wrote to. Keys and requests are digests of 16 bytes;
 * times are milliseconds since 1970.
 */
import type Database from 'better-sqlite3';
import { guarded } from './sql-errors.ts';

export interface WriteKey {
  key: Uint8Array;
  /** Digest of what was asked. */
  request: Uint8Array;
  /** When the key was first used. */
  at: number;
}

export class WriteKeysTable {
  readonly #get: Database.Statement<[Uint8Array, number], { request: Buffer; at: number }>;
  readonly #put: Database.Statement<[Uint8Array, Uint8Array, number]>;
  readonly #forget: Database.Statement<[number, number]>;

  constructor(database: Database.Database) {
    this.#get = database.prepare('SELECT request, at FROM write_keys WHERE key = ? AND at > ?');
    this.#put = database.prepare('INSERT OR REPLACE INTO write_keys VALUES (?, ?, ?)');
    this.#forget = database.prepare(
      `DELETE FROM write_keys WHERE key IN
        (SELECT key FROM write_keys WHERE at <= ? ORDER BY at LIMIT ?)`,
    );
  }

  /** What the key was used for after `since`. */
  get(key: Uint8Array, since: number): WriteKey | undefined {
    const found = this.#get.get(key, since);
    return found && { key, ...found };
  }

  put({ key, request, at }: WriteKey): void {
    guarded(() => this.#put.run(key, request, at));
  }

  /** Forgets what is as old as that, the oldest first, so many at most. */
  forget(upTo: number, limit: number): void {
    guarded(() => this.#forget.run(upTo, limit));
  }
}
