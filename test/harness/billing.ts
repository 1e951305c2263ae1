/** Bills over a store and a ledger. */
import type { BillingAdmin } from '../../coordinator/control-plane/billing/billing-admin.ts';
import { Statements } from '../../coordinator/control-plane/billing/statements.ts';
import type { Ledger } from '../../coordinator/ledger/ledger.ts';
import type { ControlStore } from '../../coordinator/store/control-store.ts';
import type { Clock } from '../../shared/base/clock.ts';

export function billingOver(known: {
  store: ControlStore;
  ledger: Pick<Ledger, 'ask'>;
  clock: Clock;
}): BillingAdmin {
  return { statements: new Statements({ ...known, currency: 'EUR' }) };
}
