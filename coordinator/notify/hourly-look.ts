/**
 * What is looked at each hour: keys that come to their end, of which their clients are told 7 days and 1 day
 * before, and what of notices is old. Repeating it does no harm, so nothing is kept of when it was done.
 */
import type { Clock } from '../../shared/base/clock.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import type { Log } from '../../shared/log/log.ts';
import type { ExpiringKey } from '../store/api-keys.ts';
import type { ControlStore } from '../store/control-store.ts';
import type { Notifier } from './notifier.ts';
import { TRIED_MS } from './webhook-sender.ts';

export interface HourlyLookDeps {
  store: Pick<ControlStore, 'apiKeys' | 'notices' | 'noticeDeliveries'>;
  notifier: Pick<Notifier, 'tell'>;
  clock: Clock;
  log: Log;
}

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Days before the end of a key at which its client is told; the smallest that holds is said. */
const EXPIRY_DAYS = [1, 7] as const;
const KEYS_MAX = 10_000;
/** Notices that are forgotten in one go. */
const FORGOTTEN_MAX = 1_000;

export class HourlyLook {
  readonly #deps: HourlyLookDeps;
  #cancel: (() => void) | undefined;
  #closed = false;

  constructor(deps: HourlyLookDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#look();
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }

  #look(): void {
    if (this.#closed) return;
    try {
      this.#tellOfKeys();
      this.#forget();
    } catch (error) {
      this.#deps.log.event('unexpected_error', { place: 'hourly look', error });
    }
    this.#cancel = this.#deps.clock.after(HOUR_MS, () => this.#look());
  }

  #tellOfKeys(): void {
    const { store, clock } = this.#deps;
    const now = clock.now();
    const until = now + Math.max(...EXPIRY_DAYS) * DAY_MS;
    for (const key of store.apiKeys.expiring(now, until, KEYS_MAX)) this.#tellOf(key, now);
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
  #forget(): void {
    const { store, clock, log } = this.#deps;
    const now = clock.now();
    const ended = store.noticeDeliveries.endOld(now - TRIED_MS - DAY_MS);
    const before = now - LIMITS.noticeDaysMax * DAY_MS;
    let forgotten = 0;
    for (;;) {
      const count = store.notices.forget(before, FORGOTTEN_MAX);
      forgotten += count;
      if (count < FORGOTTEN_MAX) break;
    }
    if (ended + forgotten > 0) log.event('notices_forgotten', { ended, forgotten });
  }
}
