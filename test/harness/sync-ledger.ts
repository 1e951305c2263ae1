/** The ledger's database without its thread. */
import path from 'node:path';
import type {
  LedgerEntry,
  LedgerQuestions,
  QuestionName,
} from '../../coordinator/ledger/entries.ts';
import type { Ledger } from '../../coordinator/ledger/ledger.ts';
import { LedgerDb } from '../../coordinator/ledger/ledger-db.ts';
import { type Cleanup, cleanUp } from './cleanup.ts';

export class SyncLedger implements Pick<Ledger, 'append' | 'ask' | 'isFull'> {
  readonly isFull = false;
  readonly #db: LedgerDb;
  #batch = 0;

  constructor(t: Cleanup, folder: string) {
    this.#db = new LedgerDb(path.join(folder, 'ledger.db'));
    cleanUp(t, () => this.#db.close());
  }

  async append(entry: LedgerEntry): Promise<void> {
    this.#batch += 1;
    this.#db.write({ run: 'test', batch: this.#batch, entries: [entry] });
  }

  async ask<N extends QuestionName>(
    name: N,
    about: LedgerQuestions[N]['about'],
  ): Promise<LedgerQuestions[N]['answer']> {
    return this.#db.answer(name, about);
  }
}
