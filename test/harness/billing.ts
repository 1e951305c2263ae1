/** Bills over a store and a ledger. */
import type { BillingAdmin } from '../../coordinator/control-plane/billing/billing-admin.ts';
import { Invoices } from '../../coordinator/control-plane/billing/invoices.ts';
import { Statements } from '../../coordinator/control-plane/billing/statements.ts';
import type { Ledger } from '../../coordinator/ledger/ledger.ts';
import type { ControlStore } from '../../coordinator/store/control-store.ts';
import type { Clock } from '../../shared/base/clock.ts';
import type { Notice } from '../../shared/domain/notices.ts';

/** `notices`: what was told. */
export function billingOver(
  known: { store: ControlStore; ledger: Pick<Ledger, 'ask'>; clock: Clock },
  notices: Notice[] = [],
): BillingAdmin {
  const tell = (notice: Notice) => void notices.push(notice);
  const statements = new Statements({ ...known, currency: 'EUR' });
  const invoices = new Invoices({ ...known, statements, currency: 'EUR', tell });
  return { statements, invoices };
}
