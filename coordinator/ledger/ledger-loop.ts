/**
 * The life of the ledger's thread: one request after the other. After a failure of the disk the
 * connection is given up, and the next request opens another one, which settles the log first
 * (`schema.ts`). Whenever it is opened the audit chains are held against what was signed.
 */
import Database from 'better-sqlite3';
import type { LedgerMessage, LedgerRequest, LedgerThreadData } from './entries.ts';
import { LedgerDb } from './ledger-db.ts';

const LOCKED = /^SQLITE_(?:BUSY|LOCKED)/;

export class LedgerLoop {
  readonly #data: LedgerThreadData;
  readonly #send: (message: LedgerMessage) => void;
  #db: LedgerDb | undefined;

  constructor(data: LedgerThreadData, send: (message: LedgerMessage) => void) {
    this.#data = data;
    this.#send = send;
  }

  /** Says `ready`, or why not. */
  start(): void {
    try {
      this.#open();
      this.#send({ kind: 'ready' });
    } catch (failure) {
      const error = plainError(failure);
      const locked = failure instanceof Database.SqliteError && LOCKED.test(failure.code);
      this.#send({ kind: 'refused', locked, error });
    }
  }

  accept(request: Exclude<LedgerRequest, { kind: 'close' }>): void {
    const { seq } = request;
    try {
      this.#send({ kind: 'answer', seq, answer: this.#answer(request) });
    } catch (error) {
      this.close();
      this.#send({ kind: 'failed', seq, error: plainError(error) });
    }
  }

  #answer(request: Exclude<LedgerRequest, { kind: 'close' }>): unknown {
    const db = this.#open();
    if (request.kind === 'question') return db.answer(request.name, request.about);
    if (request.kind === 'prune') return db.prune(request);
    return request.kind === 'anchor' ? db.anchor(request.now) : db.write(request);
  }

  #open(): LedgerDb {
    if (this.#db !== undefined) return this.#db;
    this.#db = new LedgerDb(this.#data);
    const { broken } = this.#db;
    if (broken.length > 0) this.#send({ kind: 'broken', broken });
    return this.#db;
  }

  close(): void {
    this.#db?.close();
    this.#db = undefined;
  }
}

/** Of an error that has no form of its own in another thread. */
function plainError(error: unknown): Error {
  const { message, code } = error as { message?: string; code?: string };
  return new Error(code === undefined ? `${message}` : `${code}: ${message}`);
}
