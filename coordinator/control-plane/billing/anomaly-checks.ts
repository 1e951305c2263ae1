/**
 * Looks at each hour of each active client once it is closed, ten minutes after its end, when the ledger has
 * what was used in it, and holds it against the client's history (`billing/anomaly.ts`).
 *
 *   hours       |----- h -----|- 10 min -|--> client after client, a page of them a step
 *   progress    (h, after the last client of the page): one transaction with what was found
 *
 * A start goes on where the last one ended, and finds nothing twice; hours that are more than a day back are
 * left out. All that is found is kept; told is the first hour of a row of them, so that a client whose load has
 * changed for good is not told each hour for the two weeks that its history takes to follow.
 */
import type { Clock } from '../../../shared/base/clock.ts';
import type { ClientId } from '../../../shared/base/ids.ts';
import { Repeated } from '../../../shared/base/repeated.ts';
import { LIMITS } from '../../../shared/domain/limits.ts';
import type { Notice } from '../../../shared/domain/notices.ts';
import type { Log } from '../../../shared/log/log.ts';
import { hourOf } from '../../../shared/protocol/meter.ts';
import { type Anomaly, anomaliesOf, HISTORY_DAYS } from '../../billing/anomaly.ts';
import type { Ledger } from '../../ledger/ledger.ts';
import type { AnomalyRecord } from '../../store/anomalies.ts';
import type { ControlStore } from '../../store/control-store.ts';

export interface AnomalyChecksDeps {
  store: Pick<ControlStore, 'anomalies' | 'clients' | 'transaction'>;
  ledger: Pick<Ledger, 'ask'>;
  /** Absent where nobody is told. */
  tell: (notice: Notice) => void;
  clock: Clock;
  log: Log;
}

const LOOK_MS = 60_000;
const CLOSED_MS = 600_000;
/** Hours that a start makes up for. */
const BACK_HOURS = 24;
const PAGE = 50;
const KEPT_HOURS = 400 * 24;
const MS_PER_HOUR = 3_600_000;

export class AnomalyChecks {
  readonly #deps: AnomalyChecksDeps;
  readonly #looks: Repeated;

  constructor(deps: AnomalyChecksDeps) {
    this.#deps = deps;
    this.#looks = new Repeated(deps.clock, LOOK_MS, () => this.look());
  }

  start(): void {
    this.#looks.start();
  }

  close(): Promise<void> {
    return this.#looks.close();
  }

  /** All hours that are closed and were not looked at. Never rejects. */
  async look(): Promise<void> {
    const { clock, log } = this.#deps;
    try {
      while (!this.#looks.closed) {
        const end = hourOf(clock.now() - CLOSED_MS);
        const { hour, after } = this.#next(end);
        if (hour >= end) return;
        await this.#step(hour, after);
      }
    } catch (error) {
      log.event('anomaly_check_failed', { error });
    }
  }

  /** Found ones in their order, of a client if it is given; `next` is what to go on after. */
  list({ after, limit, clientId }: { after: number; limit?: number; clientId?: ClientId }): {
    items: AnomalyRecord[];
    next: number | null;
  } {
    const count = limit ?? LIMITS.adminPageMax;
    const found = this.#deps.store.anomalies.page(after, count + 1, clientId);
    const items = found.slice(0, count);
    return { items, next: found.length > count ? (items.at(-1)?.sequence ?? null) : null };
  }

  /** The first look is at the last hour that is closed; so is one that was far ahead, by a clock that was wrong. */
  #next(end: number): { hour: number; after: string } {
    const progress = this.#deps.store.anomalies.progress;
    if (progress.hour === 0 || progress.hour > end + BACK_HOURS)
      return { hour: end - 1, after: '' };
    return progress.hour < end - BACK_HOURS ? { hour: end - BACK_HOURS, after: '' } : progress;
  }

  /** The next page of clients; after the last one it is the next hour's turn. */
  async #step(hour: number, after: string): Promise<void> {
    const { store } = this.#deps;
    const clients = store.clients.page({ after: after as ClientId }, PAGE);
    const found: { clientId: ClientId; anomalies: Anomaly[] }[] = [];
    for (const { clientId, state } of clients) {
      if (state !== 'active') continue;
      found.push({ clientId, anomalies: await this.#check(clientId, hour) });
      if (this.#looks.closed) return;
    }
    store.transaction(() => {
      for (const { clientId, anomalies } of found) {
        for (const anomaly of anomalies) this.#note(clientId, hour, anomaly);
      }
      const last = clients.at(-1)?.clientId;
      if (last === undefined) store.anomalies.forget(hour - KEPT_HOURS);
      const next = last === undefined ? { hour: hour + 1, after: '' } : { hour, after: last };
      store.anomalies.setProgress(next);
    });
  }

  async #check(clientId: ClientId, hour: number): Promise<Anomaly[]> {
    const from = hour - HISTORY_DAYS * 24 - 1;
    const about = { clientId, from, until: hour + 1 };
    const { first, hours } = await this.#deps.ledger.ask('measures', about);
    return anomaliesOf(hour, new Map(hours.map((one) => [one.hour, one])), first);
  }

  #note(clientId: ClientId, hour: number, anomaly: Anomaly): void {
    const { store, tell } = this.#deps;
    const { measure, value, usual, limit } = anomaly;
    if (!store.anomalies.add({ clientId, hour, measure, value, usual, limit })) return;
    // A burst after a silence is news.
    if (store.anomalies.has(clientId, hour - 1, measure, value > usual)) return;
    const time = new Date(hour * MS_PER_HOUR).toISOString();
    const data = { hour: time, measure, value, usual, limit };
    tell({ type: 'usage.anomaly', clientId, key: `${clientId} ${time} ${measure}`, data });
  }
}
