/** What operators do with bills. */
import type { Statements } from './statements.ts';

export interface BillingAdmin {
  statements: Statements;
}
