/**
 * Invoices become final by themselves a day after the end of their month:
 *
 *   month      [-----------------------)
 *                                       |-- 24 hours --|--> each client's, one after the other
 *
 * Writes are in the ledger some seconds after their answer, unless every worker that has their notes is away;
 * within a day such a worker is mostly back, and what comes later still is billed with the next invoice
 * (`invoices.ts`). After a start, and after the machine's clock was set, it waits an hour: workers come and bring what
 * they have, and a month that the clock was in by mistake is not billed.
 *
 * How far a client's months are settled is in `control.db`, and a month has one invoice at most: whatever
 * dies when, the next start goes on and makes none twice. A month that comes to nothing gets none.
 */
import type { Clock } from '../../../shared/base/clock.ts';
import { type RequestId, randomId } from '../../../shared/base/ids.ts';
import type { SecureRandom } from '../../../shared/base/random.ts';
import { Repeated } from '../../../shared/base/repeated.ts';
import type { SteadyClock } from '../../../shared/base/steady-clock.ts';
import type { Log } from '../../../shared/log/log.ts';
import { hourOf } from '../../../shared/protocol/meter.ts';
import { monthOfHour } from '../../billing/months.ts';
import type { ControlStore } from '../../store/control-store.ts';
import type { BillingAccount } from '../../store/price-history.ts';
import type { Invoices } from './invoices.ts';

export interface InvoicingDeps {
  store: Pick<ControlStore, 'priceHistory'>;
  invoices: Pick<Invoices, 'draft' | 'finalise'>;
  /** Nothing becomes final by a clock that was just set. */
  steady: Pick<SteadyClock, 'isSteady'>;
  clock: Clock;
  random: SecureRandom;
  log: Log;
}

const SETTLE_HOURS = 24;
const LOOK_MS = 600_000;
/** Accounts that are read at once. */
const PAGE = 100;

export class Invoicing {
  readonly #deps: InvoicingDeps;
  readonly #looks: Repeated;

  constructor(deps: InvoicingDeps) {
    this.#deps = deps;
    this.#looks = new Repeated(deps.clock, LOOK_MS, () => this.look());
  }

  start(): void {
    this.#looks.start();
  }

  close(): Promise<void> {
    return this.#looks.close();
  }

  /** Makes final what is due. Never rejects; one that fails is tried again with the next look. */
  async look(): Promise<void> {
    const { store, steady, clock, log } = this.#deps;
    if (!steady.isSteady()) return;
    const due = monthOfHour(hourOf(clock.now()) - SETTLE_HOURS);
    let after = '';
    while (!this.#looks.closed) {
      const accounts = store.priceHistory.unsettled(due, after, PAGE);
      for (const account of accounts) {
        if (this.#looks.closed) return;
        try {
          await this.#settle(account, due);
        } catch (error) {
          log.event('invoicing_failed', { clientId: account.clientId, error });
        }
      }
      const last = accounts.at(-1);
      if (last === undefined) return;
      after = last.clientId;
    }
  }

  async #settle({ clientId, settled }: BillingAccount, due: number): Promise<void> {
    const { store, invoices, random } = this.#deps;
    for (let month = settled; month < due && !this.#looks.closed; month += 1) {
      const { totalMicros } = await invoices.draft(clientId, month);
      if (totalMicros > 0n) {
        const requestId = randomId<RequestId>('req_', random.bytes);
        await invoices.finalise({ actor: 'system', requestId }, clientId, month);
      }
      store.priceHistory.settle(clientId, month + 1);
    }
  }
}
