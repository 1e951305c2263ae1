import type Database from 'better-sqlite3';
import { must } from '../../shared/base/assert.ts';
import type { Clock } from '../../shared/base/clock.ts';
import type { PlanLimits, PlanPrices } from '../../shared/domain/plan.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { PriceHistoryTable } from './price-history.ts';
import { guarded } from './sql-errors.ts';

export interface PlanRecord {
  /** Chosen by an operator; does not change. */
  planId: string;
  limits: PlanLimits;
  prices: PlanPrices;
  /** Raised with each change. */
  version: number;
  updatedAt: number;
}

type PlanRow = Omit<PlanRecord, 'limits' | 'prices'> & { limits: string; prices: string };

const COLUMNS = 'plan_id AS planId, limits, prices, version, updated_at AS updatedAt';

export class PlansTable {
  readonly #clock: Clock;
  readonly #database: Database.Database;
  readonly #priceHistory: PriceHistoryTable;
  readonly #get: Database.Statement<[string], PlanRow>;
  readonly #all: Database.Statement<[], PlanRow>;
  readonly #put: Database.Statement<[PlanRow]>;
  readonly #remove: Database.Statement<[string]>;
  readonly #clientCount: Database.Statement<[string], number>;

  constructor(database: Database.Database, clock: Clock, priceHistory: PriceHistoryTable) {
    this.#clock = clock;
    this.#database = database;
    this.#priceHistory = priceHistory;
    this.#get = database.prepare(`SELECT ${COLUMNS} FROM plans WHERE plan_id = ?`);
    this.#all = database.prepare(`SELECT ${COLUMNS} FROM plans ORDER BY plan_id`);
    this.#put = database.prepare(
      `INSERT INTO plans VALUES (@planId, @limits, @prices, @version, @updatedAt)
        ON CONFLICT (plan_id) DO UPDATE SET limits = excluded.limits, prices = excluded.prices,
          version = excluded.version, updated_at = excluded.updated_at`,
    );
    this.#remove = database.prepare('DELETE FROM plans WHERE plan_id = ?');
    this.#clientCount = database
      .prepare<[string], number>('SELECT count(*) FROM clients WHERE plan_id = ?')
      .pluck();
  }

  get(planId: string): PlanRecord | undefined {
    const row = this.#get.get(planId);
    return row && fromRow(row);
  }

  all(): PlanRecord[] {
    return this.#all.all().map(fromRow);
  }

  /** Makes the plan, or gives it these limits and prices and the next version; noted in the history of
   * prices in the same transaction. */
  put({ planId, limits, prices }: Pick<PlanRecord, 'planId' | 'limits' | 'prices'>): PlanRecord {
    const before = this.#get.get(planId);
    const version = (before?.version ?? 0) + 1;
    const texts = { limits: JSON.stringify(limits), prices: JSON.stringify(prices) };
    const put = this.#database.transaction(() => {
      this.#put.run({ planId, ...texts, version, updatedAt: this.#clock.now() });
      this.#priceHistory.notePlan(planId, prices, { isNew: before === undefined });
    });
    guarded(put);
    return must(this.get(planId), 'a plan that was put can be read');
  }

  /** Throws `conflict` while clients are on it. */
  remove(planId: string): void {
    const clients = this.#clientCount.get(planId) ?? 0;
    if (clients > 0) {
      throw new AppError('conflict', `${clients} clients are on the plan: give them another first`);
    }
    guarded(() => this.#remove.run(planId));
  }
}

function fromRow(row: PlanRow): PlanRecord {
  return {
    ...row,
    limits: JSON.parse(row.limits) as PlanLimits,
    prices: JSON.parse(row.prices) as PlanPrices,
  };
}
