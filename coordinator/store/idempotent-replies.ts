/**
 * Answers to requests that may be repeated. The keys that they are found by are digests, and the
 * answers are sealed: some hold the secret of an API key.
 */
import type Database from 'better-sqlite3';
import { guarded } from './sql-errors.ts';

export interface IdempotentReply {
  /** Digest of what was asked. */
  request: Buffer;
  sealed: Buffer;
}

export class IdempotentRepliesTable {
  readonly #get: Database.Statement<[Uint8Array, number], IdempotentReply>;
  readonly #insert: Database.Statement<[Uint8Array, Uint8Array, Uint8Array, number]>;
  readonly #forget: Database.Statement<[number]>;

  constructor(database: Database.Database) {
    this.#get = database.prepare(
      `SELECT request, sealed FROM idempotent_replies
        WHERE idempotency_key = ? AND created_at > ?`,
    );
    this.#insert = database.prepare('INSERT INTO idempotent_replies VALUES (?, ?, ?, ?)');
    this.#forget = database.prepare('DELETE FROM idempotent_replies WHERE created_at <= ?');
  }

  /** The answer that was given after `since`, in milliseconds since 1970. */
  get(key: Uint8Array, since: number): IdempotentReply | undefined {
    return this.#get.get(key, since);
  }

  put(key: Uint8Array, { request, sealed }: IdempotentReply, at: number): void {
    guarded(() => this.#insert.run(key, request, sealed, at));
  }

  /** Forgets what is as old as that. */
  forget(upTo: number): void {
    guarded(() => this.#forget.run(upTo));
  }
}
