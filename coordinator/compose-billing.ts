/** Builds what makes bills of what the ledger has. */
import type { Clock } from '../shared/base/clock.ts';
import type { Shutdown } from '../shared/base/shutdown.ts';
import type { Log } from '../shared/log/log.ts';
import type { CoordinatorConfig } from './config.ts';
import type { BillingAdmin } from './control-plane/billing/billing-admin.ts';
import { Statements } from './control-plane/billing/statements.ts';
import type { Ledger } from './ledger/ledger.ts';
import type { ControlStore } from './store/control-store.ts';

interface Parts {
  store: ControlStore;
  ledger: Ledger;
  clock: Clock;
  log: Log;
}

export function composeBilling(
  { currency }: Pick<CoordinatorConfig, 'currency'>,
  parts: Parts,
  _shutdown: Shutdown,
): BillingAdmin {
  return { statements: new Statements({ ...parts, currency }) };
}
