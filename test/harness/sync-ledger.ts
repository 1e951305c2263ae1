/** The ledger's database without its thread. */
import path from 'node:path';
import type {
  LedgerEntry,
  LedgerQuestions,
  Pruned,
  PruneStep,
  QuestionName,
} from '../../coordinator/ledger/entries.ts';
import type { Ledger } from '../../coordinator/ledger/ledger.ts';
import { LedgerDb } from '../../coordinator/ledger/ledger-db.ts';
import { auditKeyOf, publicPemOf } from '../../shared/crypto/audit-chain.ts';
import { type Cleanup, cleanUp } from './cleanup.ts';

const SEED = Buffer.alloc(32, 1);

export class SyncLedger implements Pick<Ledger, 'append' | 'ask' | 'prune' | 'isFull'> {
  readonly isFull = false;
  /** PEM: verifies exports of its chains. */
  readonly publicKey = publicPemOf(auditKeyOf(SEED));
  /** When entries are written from now on: milliseconds since 1970. */
  writtenAt = 0;
  readonly #db: LedgerDb;
  #batch = 0;

  constructor(t: Cleanup, folder: string) {
    this.#db = new LedgerDb({
      file: path.join(folder, 'ledger.db'),
      auditSeed: SEED,
    });
    cleanUp(t, () => this.#db.close());
  }

  async append(entry: LedgerEntry): Promise<void> {
    this.#batch += 1;
    this.#db.write({ run: 'test', batch: this.#batch, entries: [entry], now: this.writtenAt });
  }

  async prune(step: PruneStep): Promise<Pruned> {
    return this.#db.prune(step);
  }

  async ask<N extends QuestionName>(
    name: N,
    about: LedgerQuestions[N]['about'],
  ): Promise<LedgerQuestions[N]['answer']> {
    return this.#db.answer(name, about);
  }
}
