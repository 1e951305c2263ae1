/**
 * Compares what clients have used this month with their budgets, a minute after the last time:
 *
 *   spent    0 ------- 50 % ------- 80 % ------- 100 % ----->
 *   told               once         once         once, and paused as it was chosen
 *
 *   paused --- the budget is raised or removed, something else is chosen, a new month begins ---> lifted
 *
 * What is spent is the statement of the month so far, with the plan's share of it. That a level was told, and
 * what is paused, is written in one transaction with telling and pausing, so a restart repeats neither. The
 * ledger has what was used some seconds later, and it is looked at once a minute: for so long a client may go on.
 */
import type { Clock } from '../../../shared/base/clock.ts';
import type { ClientId } from '../../../shared/base/ids.ts';
import { Repeated } from '../../../shared/base/repeated.ts';
import type { Notice } from '../../../shared/domain/notices.ts';
import type { Log } from '../../../shared/log/log.ts';
import { hourOf } from '../../../shared/protocol/meter.ts';
import { formatMonth, monthOfHour, monthStart } from '../../billing/months.ts';
import type { BudgetRecord, PauseScope } from '../../store/budgets.ts';
import type { ControlStore } from '../../store/control-store.ts';
import type { Statements } from './statements.ts';

/** Pauses and lifts because of a budget, and nothing else; called in a transaction of the store. */
export interface BudgetPauses {
  /** Whether it is paused for that now; not when an operator has paused or suspended it, or it is going. */
  pause(clientId: ClientId, scope: PauseScope): boolean;
  lift(clientId: ClientId): void;
}

export interface BudgetChecksDeps {
  store: Pick<ControlStore, 'budgets' | 'transaction'>;
  statements: Pick<Statements, 'of'>;
  /** Absent where nobody is told. */
  tell: (notice: Notice) => void;
  pauses: BudgetPauses;
  clock: Clock;
  log: Log;
}

/** What a month has cost so far. */
export interface BudgetState {
  month: number;
  spentMicros: bigint;
}

const LOOK_MS = 60_000;
const PAGE = 100;
const SCOPES = { nothing: null, pause_writes: 'writes', pause_all: 'all' } as const;

export class BudgetChecks {
  readonly #deps: BudgetChecksDeps;
  readonly #looks: Repeated;

  constructor(deps: BudgetChecksDeps) {
    this.#deps = deps;
    this.#looks = new Repeated(deps.clock, LOOK_MS, () => this.look());
  }

  start(): void {
    this.#looks.start();
  }

  close(): Promise<void> {
    return this.#looks.close();
  }

  /** All clients that have a budget, one after the other. Never rejects. */
  async look(): Promise<void> {
    const { store, log } = this.#deps;
    for (let after: string | undefined = ''; after !== undefined && !this.#looks.closed; ) {
      const budgets: BudgetRecord[] = store.budgets.page(after, PAGE);
      for (const { clientId } of budgets) {
        if (this.#looks.closed) return;
        try {
          await this.check(clientId);
        } catch (error) {
          log.event('budget_check_failed', { clientId, error });
        }
      }
      after = budgets.at(-1)?.clientId;
    }
  }

  /** Tells, pauses and lifts as its budget says now; nothing for a client that has none. */
  async check(clientId: ClientId): Promise<BudgetState> {
    const { store, statements, clock } = this.#deps;
    const hour = hourOf(clock.now());
    const month = monthOfHour(hour);
    const hours = { from: monthStart(month), until: hour + 1 };
    const { totalMicros } = await statements.of(clientId, hours);
    const state = { month, spentMicros: totalMicros };
    store.transaction(() => {
      // As it is now: it may have been changed while the ledger was asked.
      const budget = store.budgets.get(clientId);
      if (budget !== undefined) this.#apply(budget, state);
    });
    return state;
  }

  /** Lifts what it has paused; to be called in the transaction that removes the budget. */
  lift(clientId: ClientId): void {
    const budget = this.#deps.store.budgets.get(clientId);
    if (budget !== undefined) this.#setPaused(budget, null);
  }

  #apply(budget: BudgetRecord, { month, spentMicros }: BudgetState): void {
    const { store, tell } = this.#deps;
    const { clientId, amountMicros, levels } = budget;
    store.budgets.forgetLevels(clientId, month);
    for (const percent of levels) {
      if (spentMicros * 100n < amountMicros * BigInt(percent)) break;
      if (!store.budgets.noteLevel(clientId, month, percent)) continue;
      const name = formatMonth(month);
      const spent_micros = String(spentMicros);
      const data = { month: name, percent, spent_micros, budget_micros: String(amountMicros) };
      tell({ type: 'budget.level', clientId, key: `${clientId} ${name} ${percent}`, data });
    }
    const isSpent = spentMicros >= amountMicros;
    this.#setPaused(budget, isSpent ? SCOPES[budget.atLimit] : null);
  }

  #setPaused({ clientId, paused }: BudgetRecord, wanted: PauseScope | null): void {
    const { store, pauses } = this.#deps;
    if (paused === wanted) return;
    if (wanted === null) pauses.lift(clientId);
    // Tried again with the next look: what an operator did may end before the month does.
    else if (!pauses.pause(clientId, wanted)) return;
    store.budgets.setPaused(clientId, wanted);
  }
}
