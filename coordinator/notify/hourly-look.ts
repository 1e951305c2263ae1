/**
 * What is looked at each hour: keys that come to their end, of which their clients are told 7 days and 1 day
 * before, and what of notices is old. Repeating it does no harm, so nothing is kept of when it was done. All of it
 * goes in small parts, a transaction each, with rests: one client may have thousands of keys that end together.
 */
import type { Clock } from '../../shared/base/clock.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import type { Log } from '../../shared/log/log.ts';
import type { ExpiringKey, ExpiryPlace } from '../store/api-keys.ts';
import type { ControlStore } from '../store/control-store.ts';
import type { Notifier } from './notifier.ts';
import { TRIED_MS } from './webhook-sender.ts';

export interface HourlyLookDeps {
  store: Pick<ControlStore, 'apiKeys' | 'notices' | 'noticeDeliveries' | 'transaction'>;
  notifier: Pick<Notifier, 'tell'>;
  clock: Clock;
  log: Log;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Days before the end of a key at which its client is told; the smallest that holds is said. */
const EXPIRY_DAYS = [1, 7] as const;
/** Keys of one part: each may be told to all of a client's webhooks and addresses. */
const KEYS_MAX = 20;
/** Notices that are forgotten in one part, with what became of each. */
const FORGOTTEN_MAX = 50;
const REST_MS = 20;
/** After every id. */
const LAST_ID = '~';

/** What of a look comes next, after a rest. */
type Part = { tellAfter: ExpiryPlace } | 'forget' | 'done';

export class HourlyLook {
  readonly #deps: HourlyLookDeps;
  #cancel: (() => void) | undefined;
  #closed = false;
  #ended = 0;
  #forgotten = 0;

  constructor(deps: HourlyLookDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#begin();
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }

  #begin(): void {
    this.#look({ tellAfter: { expiresAt: this.#deps.clock.now(), keyId: LAST_ID } });
  }

  /** One part; what follows comes after a rest. */
  #look(part: Part): void {
    if (this.#closed) return;
    const { clock, log } = this.#deps;
    let next: Part = 'done';
    try {
      next = this.#partOf(part);
    } catch (error) {
      log.event('unexpected_error', { place: 'hourly look', error });
    }
    this.#cancel =
      next === 'done'
        ? clock.after(HOUR_MS, () => this.#begin())
        : clock.after(REST_MS, () => this.#look(next));
  }

  #partOf(part: Part): Part {
    if (part === 'done') return part;
    if (part === 'forget') return this.#forget();
    const next = this.#tellOfKeys(part.tellAfter);
    if (next !== undefined) return { tellAfter: next };
    this.#endOld();
    return this.#forget();
  }

  /** Where the next part begins, if there is one. */
  #tellOfKeys(after: ExpiryPlace): ExpiryPlace | undefined {
    const { store, clock } = this.#deps;
    const now = clock.now();
    const until = now + Math.max(...EXPIRY_DAYS) * DAY_MS;
    const keys = store.apiKeys.expiring(after, until, KEYS_MAX);
    store.transaction(() => {
      for (const key of keys) this.#tellOf(key, now);
    });
    return keys.length < KEYS_MAX ? undefined : keys.at(-1);
  }

  #tellOf({ keyId, clientId, name, expiresAt }: ExpiringKey, now: number): void {
    const days = EXPIRY_DAYS.find((count) => expiresAt - now <= count * DAY_MS);
    if (days === undefined) return;
    this.#deps.notifier.tell({
      type: 'key.expiring',
      clientId,
      key: `${keyId}:${expiresAt}:${days}`,
      data: { key_id: keyId, name, expires_at: new Date(expiresAt).toISOString() },
    });
  }

  /** Nobody tries any more what has waited for a day longer than webhooks are tried: mail without a server. */
  #endOld(): void {
    const { store, clock } = this.#deps;
    this.#ended = store.noticeDeliveries.endOld(clock.now() - TRIED_MS - DAY_MS);
    this.#forgotten = 0;
  }

  #forget(): Part {
    const { store, clock, log } = this.#deps;
    const before = clock.now() - LIMITS.noticeDaysMax * DAY_MS;
    const count = store.notices.forget(before, FORGOTTEN_MAX);
    this.#forgotten += count;
    if (count === FORGOTTEN_MAX) return 'forget';
    const [ended, forgotten] = [this.#ended, this.#forgotten];
    if (ended + forgotten > 0) log.event('notices_forgotten', { ended, forgotten });
    return 'done';
  }
}
