/**
 * How often each client may ask: the generic cell rate algorithm (ITU-T I.371, annex A), which keeps
 * one number a bucket, the time at which it will be as good as new.
 *
 *   interval = 1 / rate        a request moves that time on by one interval
 *   full     = burst x interval         and is refused when it would lie further ahead than this
 *
 * So a client may send `burst` requests at once and `rate` a second over time, and whoever is
 * refused is told exactly when the next one passes. A refused request costs its sender nothing.
 */
import type { Clock } from '../../shared/base/clock.ts';

export interface Rate {
  perSecond: number;
  /** Requests at once after a pause; one at least. */
  burst: number;
}

export interface RateDecision {
  allowed: boolean;
  /** Requests that would be allowed at once now. */
  remaining: number;
  /** Until `burst` requests would be allowed again. */
  resetMs: number;
  /** Until the next one is allowed; 0 when this one was. */
  retryAfterMs: number;
}

/** Idle buckets stay, up to a number: a Map whose entries come and go is costly (`PendingCalls`). */
const BUCKETS_KEPT = 4_096;

export class RateLimiter<Id> {
  readonly #clock: Clock;
  readonly #fullAtMs = new Map<Id, number>();

  constructor(deps: { clock: Clock }) {
    this.#clock = deps.clock;
  }

  /** Buckets in memory. */
  get size(): number {
    return this.#fullAtMs.size;
  }

  take(id: Id, { perSecond, burst }: Rate): RateDecision {
    const nowMs = this.#clock.monotonicMs();
    const intervalMs = 1_000 / perSecond;
    const mostMs = burst * intervalMs;
    const known = this.#fullAtMs.get(id);
    const aheadMs = Math.max(0, (known ?? 0) - nowMs);
    // A limit that was lowered must not leave its client waiting for what the old one allowed.
    const behindMs = Math.min(mostMs, aheadMs);
    const nextMs = behindMs + intervalMs;
    if (nextMs > mostMs) {
      if (aheadMs > mostMs) this.#fullAtMs.set(id, nowMs + mostMs);
      return { allowed: false, remaining: 0, resetMs: behindMs, retryAfterMs: nextMs - mostMs };
    }
    if (known === undefined && this.#fullAtMs.size >= BUCKETS_KEPT) this.#forgetIdle(nowMs);
    this.#fullAtMs.set(id, nowMs + nextMs);
    const remaining = Math.floor((mostMs - nextMs) / intervalMs + ROUNDING);
    return { allowed: true, remaining, resetMs: nextMs, retryAfterMs: 0 };
  }

  #forgetIdle(nowMs: number): void {
    for (const [id, fullAtMs] of this.#fullAtMs) {
      if (fullAtMs <= nowMs) this.#fullAtMs.delete(id);
    }
  }
}

/** Sums of intervals are not exact. */
const ROUNDING = 1e-6;
