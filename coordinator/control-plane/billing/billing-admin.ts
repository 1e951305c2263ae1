/** What operators do with bills. */
import type { AnomalyChecks } from './anomaly-checks.ts';
import type { Budgets } from './budgets.ts';
import type { Invoices } from './invoices.ts';
import type { Statements } from './statements.ts';

export interface BillingAdmin {
  statements: Statements;
  invoices: Invoices;
  budgets: Budgets;
  anomalies: Pick<AnomalyChecks, 'list'>;
}
