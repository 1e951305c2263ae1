/** Builds what makes bills of what the ledger has. */
import type { Clock } from '../shared/base/clock.ts';
import type { SecureRandom } from '../shared/base/random.ts';
import type { Shutdown } from '../shared/base/shutdown.ts';
import type { SteadyClock } from '../shared/base/steady-clock.ts';
import type { Log } from '../shared/log/log.ts';
import type { Tell } from './compose-parts.ts';
import type { CoordinatorConfig } from './config.ts';
import { AnomalyChecks } from './control-plane/billing/anomaly-checks.ts';
import type { BillingAdmin } from './control-plane/billing/billing-admin.ts';
import { BudgetChecks, type BudgetPauses } from './control-plane/billing/budget-checks.ts';
import { Budgets } from './control-plane/billing/budgets.ts';
import { Invoices } from './control-plane/billing/invoices.ts';
import { Invoicing } from './control-plane/billing/invoicing.ts';
import { Statements } from './control-plane/billing/statements.ts';
import type { ClientAdmin } from './control-plane/clients.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { ControlStore } from './store/control-store.ts';

interface Parts {
  store: ControlStore;
  ledger: Ledger;
  clock: Clock;
  random: SecureRandom;
  log: Log;
  steady: SteadyClock;
  /** Called in the transaction of what it tells. */
  tell: Tell;
  /** Pauses and lifts; there once all is composed. */
  clients: () => Pick<ClientAdmin, 'pauseForBudget' | 'liftBudgetPause'>;
}

/** `start` begins with what happens by itself, once the ledger is open. */
export function composeBilling(
  { currency }: Pick<CoordinatorConfig, 'currency'>,
  { tell, clients, ...parts }: Parts,
  shutdown: Shutdown,
): BillingAdmin & { start(): void } {
  const statements = new Statements({ ...parts, currency });
  const invoices = new Invoices({ ...parts, statements, currency, tell });
  const invoicing = new Invoicing({ ...parts, invoices });
  shutdown.add('invoicing', invoicing);
  const pauses: BudgetPauses = {
    pause: (clientId, scope) => clients().pauseForBudget(clientId, scope),
    lift: (clientId) => clients().liftBudgetPause(clientId),
  };
  const checks = new BudgetChecks({ ...parts, statements, tell, pauses });
  shutdown.add('budget checks', checks);
  const budgets = new Budgets({ ...parts, checks });
  const anomalies = new AnomalyChecks({ ...parts, tell });
  shutdown.add('anomaly checks', anomalies);
  const start = () => {
    invoicing.start();
    checks.start();
    anomalies.start();
  };
  return { statements, invoices, budgets, anomalies, start };
}
