/** Bills over a store and a ledger. */

import { AnomalyChecks } from '../../coordinator/control-plane/billing/anomaly-checks.ts';
import type { BillingAdmin } from '../../coordinator/control-plane/billing/billing-admin.ts';
import {
  BudgetChecks,
  type BudgetPauses,
} from '../../coordinator/control-plane/billing/budget-checks.ts';
import { Budgets } from '../../coordinator/control-plane/billing/budgets.ts';
import { Invoices } from '../../coordinator/control-plane/billing/invoices.ts';
import { Statements } from '../../coordinator/control-plane/billing/statements.ts';
import type { Ledger } from '../../coordinator/ledger/ledger.ts';
import type { ControlStore } from '../../coordinator/store/control-store.ts';
import type { Clock } from '../../shared/base/clock.ts';
import type { Notice } from '../../shared/domain/notices.ts';
import { type Log, quietLog } from '../../shared/log/log.ts';

/** What was told and paused, in its order. */
export class Told {
  readonly notices: Notice[] = [];
  readonly pauses: string[] = [];
  /** An operator has paused the clients. */
  isHeld = false;
  readonly budgetPauses: BudgetPauses = {
    pause: (clientId, scope) => {
      if (!this.isHeld) this.pauses.push(`${scope} of ${clientId}`);
      return !this.isHeld;
    },
    lift: (clientId) => void this.pauses.push(`nothing of ${clientId}`),
  };
}

export function billingOver(
  known: { store: ControlStore; ledger: Pick<Ledger, 'ask'>; clock: Clock; log?: Log },
  told = new Told(),
): BillingAdmin & { checks: BudgetChecks; anomalies: AnomalyChecks } {
  const tell = (notice: Notice) => void told.notices.push(notice);
  const statements = new Statements({ ...known, currency: 'EUR' });
  const invoices = new Invoices({ ...known, statements, currency: 'EUR', tell });
  const pauses = told.budgetPauses;
  const checks = new BudgetChecks({ log: quietLog, ...known, statements, tell, pauses });
  const anomalies = new AnomalyChecks({ log: quietLog, ...known, tell });
  const budgets = new Budgets({ ...known, checks });
  return { statements, invoices, budgets, checks, anomalies };
}
