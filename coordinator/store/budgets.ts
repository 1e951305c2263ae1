/**
 * Budgets of clients for a month, and how far each was told of and acted on: so that after a restart no level is
 * told twice, and whoever was paused is known.
 *
 *   budgets         client_id, amount, levels, at_limit    what was chosen
 *                   paused, version                        paused NULL: the checks have paused nothing
 *   budget_levels   client_id, month, level                levels that were told of
 */
import type Database from 'better-sqlite3';
import type { ClientId } from '../../shared/base/ids.ts';
import { guarded } from './sql-errors.ts';

/** What happens when all of a budget is spent. */
export const BUDGET_ACTIONS = ['nothing', 'pause_writes', 'pause_all'] as const;
export type BudgetAction = (typeof BUDGET_ACTIONS)[number];

export type PauseScope = 'writes' | 'all';

export interface BudgetTerms {
  /** Of a calendar month, millionths of the currency. */
  amountMicros: bigint;
  /** Percent of it, ascending. */
  levels: number[];
  atLimit: BudgetAction;
}

export interface BudgetRecord extends BudgetTerms {
  clientId: ClientId;
  /** What is paused because it is spent. */
  paused: PauseScope | null;
  /** Raised with each change of its terms. */
  version: number;
}

interface Row {
  clientId: ClientId;
  amount: string;
  levels: string;
  atLimit: BudgetAction;
  paused: PauseScope | null;
  version: number;
}

const COLUMNS = 'client_id AS clientId, amount, levels, at_limit AS atLimit, paused, version';

export class BudgetsTable {
  readonly #sql: ReturnType<typeof prepareStatements>;

  constructor(database: Database.Database) {
    this.#sql = prepareStatements(database);
  }

  get(clientId: ClientId): BudgetRecord | undefined {
    const row = this.#sql.get.get(clientId);
    return row && fromRow(row);
  }

  /** Up to `limit` after that client, by id. */
  page(after: string, limit: number): BudgetRecord[] {
    return this.#sql.page.all(after, limit).map(fromRow);
  }

  /** Sets what was chosen; what is paused stays so. */
  put(clientId: ClientId, { amountMicros, levels, atLimit }: BudgetTerms): void {
    const texts = { amount: String(amountMicros), levels: JSON.stringify(levels) };
    guarded(() => this.#sql.put.run({ clientId, ...texts, atLimit }));
  }

  setPaused(clientId: ClientId, paused: PauseScope | null): void {
    this.#sql.setPaused.run(paused, clientId);
  }

  remove(clientId: ClientId): void {
    this.#sql.remove.run(clientId);
  }

  /** Whether it was not told before. */
  noteLevel(clientId: ClientId, month: number, level: number): boolean {
    return guarded(() => this.#sql.noteLevel.run(clientId, month, level)).changes === 1;
  }

  /** Those of months before that one are not told any more. */
  forgetLevels(clientId: ClientId, month: number): void {
    this.#sql.forgetLevels.run(clientId, month);
  }
}

function fromRow({ amount, levels, ...row }: Row): BudgetRecord {
  return { ...row, amountMicros: BigInt(amount), levels: JSON.parse(levels) as number[] };
}

function prepareStatements(database: Database.Database) {
  return {
    get: database.prepare<[ClientId], Row>(`SELECT ${COLUMNS} FROM budgets WHERE client_id = ?`),
    page: database.prepare<[string, number], Row>(
      `SELECT ${COLUMNS} FROM budgets WHERE client_id > ? ORDER BY client_id LIMIT ?`,
    ),
    put: database.prepare<[Omit<Row, 'paused' | 'version'>]>(
      `INSERT INTO budgets (client_id, amount, levels, at_limit, version)
         VALUES (@clientId, @amount, @levels, @atLimit, 1)
       ON CONFLICT DO UPDATE SET amount = excluded.amount, levels = excluded.levels,
         at_limit = excluded.at_limit, version = version + 1`,
    ),
    setPaused: database.prepare<[PauseScope | null, ClientId]>(
      'UPDATE budgets SET paused = ? WHERE client_id = ?',
    ),
    remove: database.prepare<[ClientId]>('DELETE FROM budgets WHERE client_id = ?'),
    noteLevel: database.prepare<[ClientId, number, number]>(
      'INSERT OR IGNORE INTO budget_levels (client_id, month, level) VALUES (?, ?, ?)',
    ),
    forgetLevels: database.prepare<[ClientId, number]>(
      'DELETE FROM budget_levels WHERE client_id = ? AND month < ?',
    ),
  };
}
