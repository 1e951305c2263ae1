/**
 * Which plan held for a client from which hour on, and which prices a plan had: rows that are appended in
 * the transaction of each change and never touched afterwards, but for changes within one hour, of which
 * the last holds.
 *
 *   billing_accounts   client_id, name, since,      whom bills go to; outlives the client. Months from `since`
 *                      settled                      on are invoiced by themselves, up to `settled` they were
 *   client_plans       client_id, from_hour,        plan_id NULL: none, the client is being deleted or gone
 *                      plan_id
 *   plan_prices        plan_id, from_hour, prices   outlives the plan
 *
 * Hours count from 1970 (UTC). A client's first plan holds from the hour in which the client was made, every
 * later one from the hour after its change: what was used under one price never gets another. A clock that
 * is set back does not write history anew: no row is before one that is there, nor within a month that has an
 * invoice, whose lines end where rows begin.
 */
import type Database from 'better-sqlite3';
import type { Clock } from '../../shared/base/clock.ts';
import type { ClientId } from '../../shared/base/ids.ts';
import type { PlanPrices } from '../../shared/domain/plan.ts';
import { hourOf } from '../../shared/protocol/meter.ts';

/** What holds from one hour on, until the next of them. */
export interface Terms {
  from: number;
  /** Null: there is no plan, and nothing costs anything. */
  planId: string | null;
  prices: PlanPrices | null;
}

/** Whom bills go to. */
export interface BillingAccount {
  clientId: ClientId;
  /** The last name that the client had. */
  name: string;
  /** Months since 1970; see above. */
  since: number;
  settled: number;
}

/** Of a client, what its bills depend on. */
interface BilledClient {
  clientId: ClientId;
  name: string;
  planId: string;
  state: string;
}

interface PlanRow {
  from: number;
  planId: string | null;
}

interface PricesRow {
  from: number;
  prices: string;
}

export class PriceHistoryTable {
  readonly #clock: Clock;
  readonly #sql: ReturnType<typeof prepareStatements>;

  constructor(database: Database.Database, clock: Clock) {
    this.#clock = clock;
    this.#sql = prepareStatements(database);
  }

  /** To be called in the transaction of each change of a client. */
  noteClient({ clientId, name, planId, state }: BilledClient): void {
    const hour = hourOf(this.#clock.now());
    const month = monthOf(this.#clock.now());
    this.#sql.putAccount.run({ clientId, name, since: month, settled: month });
    const wanted = state === 'deleting' ? null : planId;
    const last = this.#sql.lastPlan.get(clientId);
    if (last !== undefined && last.planId === wanted) return;
    const from =
      last === undefined ? hour : Math.max(hour + 1, last.from, this.#billedOf(clientId));
    this.#sql.putPlan.run(clientId, from, wanted);
  }

  /** The same for the removal of a client. */
  noteRemoval(clientId: ClientId): void {
    const last = this.#sql.lastPlan.get(clientId);
    if (last === undefined || last.planId === null) return;
    const from = Math.max(hourOf(this.#clock.now()) + 1, last.from, this.#billedOf(clientId));
    this.#sql.putPlan.run(clientId, from, null);
  }

  /** The same for each change of a plan; `isNew`: nobody is on it yet. */
  notePlan(planId: string, prices: PlanPrices, { isNew }: { isNew: boolean }): void {
    const text = JSON.stringify(prices);
    const last = this.#sql.lastPrices.get(planId);
    if (last?.prices === text) return;
    const hour = hourOf(this.#clock.now());
    // One of that name that was removed may have been used within this hour.
    const from = isNew && this.#sql.isUsed.get({ planId, hour }) === undefined ? hour : hour + 1;
    const billed = hourAfter(this.#sql.lastBilled.get());
    this.#sql.putPrices.run(planId, Math.max(from, last?.from ?? 0, billed), text);
  }

  /** The hour before which a client's months may have invoices. */
  #billedOf(clientId: ClientId): number {
    return hourAfter(this.#sql.lastBilledOf.get(clientId));
  }

  account(clientId: ClientId): BillingAccount | undefined {
    return this.#sql.account.get(clientId);
  }

  /** Up to `limit` accounts after `after` by id, of those that are not settled up to that month. */
  unsettled(month: number, after: string, limit: number): BillingAccount[] {
    return this.#sql.unsettled.all({ month, after, limit });
  }

  /** The months before that one are not invoiced by themselves any more. */
  settle(clientId: ClientId, month: number): void {
    this.#sql.settle.run(month, clientId);
  }

  /** What held for a client, oldest first, each from another hour on; the first also holds for what came
   * before it. Empty for a client that never was. */
  termsOf(clientId: ClientId): Terms[] {
    const plans = this.#sql.plansOf.all(clientId);
    return plans.flatMap((plan, index) => this.#within(plan, plans[index + 1]?.from));
  }

  /** The prices of one plan from its hour on, as they changed up to another. */
  #within({ from, planId }: PlanRow, until = Number.MAX_SAFE_INTEGER): Terms[] {
    if (planId === null) return [{ from, planId, prices: null }];
    const rows = this.#sql.pricesOf.all(planId).filter((row) => row.from < until);
    const firstIndex = Math.max(
      0,
      rows.findLastIndex((row) => row.from <= from),
    );
    return rows.slice(firstIndex).map((row) => {
      const prices = JSON.parse(row.prices) as PlanPrices;
      return { from: Math.max(from, row.from), planId, prices };
    });
  }
}

/** The hour that a month ends with; 0 for none. */
function hourAfter(month: number | null | undefined): number {
  return typeof month === 'number' ? hourOf(Date.UTC(1970, month + 1)) : 0;
}

/** Months since 1970 of a time in milliseconds. */
function monthOf(ms: number): number {
  const date = new Date(ms);
  return (date.getUTCFullYear() - 1970) * 12 + date.getUTCMonth();
}

function prepareStatements(database: Database.Database) {
  const account = 'client_id AS clientId, name, since, settled';
  return {
    putAccount: database.prepare<[BillingAccount]>(
      `INSERT INTO billing_accounts (client_id, name, since, settled)
        VALUES (@clientId, @name, @since, @settled)
        ON CONFLICT DO UPDATE SET name = excluded.name`,
    ),
    account: database.prepare<[ClientId], BillingAccount>(
      `SELECT ${account} FROM billing_accounts WHERE client_id = ?`,
    ),
    unsettled: database.prepare<[{ month: number; after: string; limit: number }], BillingAccount>(
      `SELECT ${account} FROM billing_accounts WHERE client_id > @after AND settled < @month
        ORDER BY client_id LIMIT @limit`,
    ),
    settle: database.prepare<[number, ClientId]>(
      'UPDATE billing_accounts SET settled = max(settled, ?) WHERE client_id = ?',
    ),
    lastPlan: database.prepare<[ClientId], PlanRow>(
      `SELECT from_hour AS "from", plan_id AS planId FROM client_plans
        WHERE client_id = ? ORDER BY from_hour DESC LIMIT 1`,
    ),
    putPlan: database.prepare<[ClientId, number, string | null]>(
      'INSERT OR REPLACE INTO client_plans (client_id, from_hour, plan_id) VALUES (?, ?, ?)',
    ),
    isUsed: database.prepare<[{ planId: string; hour: number }], unknown>(
      `SELECT 1 FROM client_plans AS own WHERE plan_id = @planId AND from_hour <= @hour
        AND NOT EXISTS (SELECT 1 FROM client_plans AS later WHERE later.client_id = own.client_id
          AND later.from_hour > own.from_hour AND later.from_hour <= @hour) LIMIT 1`,
    ),
    lastBilledOf: database
      .prepare<[ClientId], number | null>(
        `SELECT max(month) FROM invoices WHERE client_id = ? AND kind = 'invoice'`,
      )
      .pluck(),
    lastBilled: database
      .prepare<[], number | null>(`SELECT max(month) FROM invoices WHERE kind = 'invoice'`)
      .pluck(),
    plansOf: database.prepare<[ClientId], PlanRow>(
      `SELECT from_hour AS "from", plan_id AS planId FROM client_plans
        WHERE client_id = ? ORDER BY from_hour`,
    ),
    lastPrices: database.prepare<[string], PricesRow>(
      `SELECT from_hour AS "from", prices FROM plan_prices
        WHERE plan_id = ? ORDER BY from_hour DESC LIMIT 1`,
    ),
    putPrices: database.prepare<[string, number, string]>(
      'INSERT OR REPLACE INTO plan_prices (plan_id, from_hour, prices) VALUES (?, ?, ?)',
    ),
    pricesOf: database.prepare<[string], PricesRow>(
      'SELECT from_hour AS "from", prices FROM plan_prices WHERE plan_id = ? ORDER BY from_hour',
    ),
  };
}
