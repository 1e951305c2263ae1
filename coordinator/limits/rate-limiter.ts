/**
 * How often each client may ask: the generic cell rate algorithm (ITU-T I.371, annex A), which keeps
 * one number a bucket, the time at which it will be as good as new.
 *
 *   interval = 1 / rate        a unit moves that time on by one interval
 *   full     = burst x interval         and is refused when it would lie further ahead than this
 *
 * So `burst` units pass at once and `rate` a second over time, and whoever is refused is told
 * exactly when the next ones pass. What is refused costs nothing. More units than the rate says are
 * enough pass when so many are there, and may leave a debt: until it is paid off nothing passes.
 */
import type { Clock } from '../../shared/base/clock.ts';

export interface Rate {
  perSecond: number;
  /** Units at once after a pause; one at least. */
  burst: number;
  /** Who takes more needs to find no more than this; the burst if absent. */
  enough?: number;
  /** Debts beyond this are remitted; 0 if absent. */
  debtSecondsMax?: number;
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

export interface Buckets<Id> {
  /** Buckets that are kept. */
  readonly size: number;
  /** Takes units, one if nobody says how many. */
  take(id: Id, rate: Rate, units?: number): RateDecision;
  /** Takes units of which it is known only now that they were used, or gives some back. */
  charge(id: Id, rate: Rate, units: number): void;
  /** How long until so many units, one at least, are there; 0 when they are. Takes nothing. */
  waitMs(id: Id, rate: Rate, units?: number): number;
  /** All are full again. */
  clear(): void;
}

/** Idle buckets stay, up to a number: a Map whose entries come and go is costly (`PendingCalls`). */
const BUCKETS_KEPT = 4_096;

/** Buckets in memory. */
export class RateLimiter<Id> implements Buckets<Id> {
  readonly #clock: Clock;
  readonly #fullAtMs = new Map<Id, number>();
  /** So many buckets are looked through for idle ones: twice as many as were left last time. */
  #lookAt = BUCKETS_KEPT;

  constructor(deps: { clock: Clock }) {
    this.#clock = deps.clock;
  }

  get size(): number {
    return this.#fullAtMs.size;
  }

  take(id: Id, rate: Rate, units = 1): RateDecision {
    const { perSecond, burst, enough = burst, debtSecondsMax = 0 } = rate;
    const nowMs = this.#clock.monotonicMs();
    const intervalMs = 1_000 / perSecond;
    const mostMs = burst * intervalMs;
    const known = this.#fullAtMs.get(id);
    const aheadMs = Math.max(0, (known ?? 0) - nowMs);
    const debtMs = 1_000 * debtSecondsMax;
    // A limit that was lowered must not leave its client waiting for what the old one allowed.
    const behindMs = Math.min(mostMs + debtMs, aheadMs);
    const nextMs = behindMs + Math.min(units, enough) * intervalMs;
    if (nextMs > mostMs + ROUNDING_MS) {
      if (aheadMs > behindMs) this.#fullAtMs.set(id, nowMs + behindMs);
      const remaining = Math.floor(Math.max(0, mostMs - behindMs) / intervalMs + ROUNDING);
      return { allowed: false, remaining, resetMs: behindMs, retryAfterMs: nextMs - mostMs };
    }
    if (known === undefined && this.#fullAtMs.size >= this.#lookAt) this.#forgetIdle(nowMs);
    const owedMs = Math.min(behindMs + units * intervalMs, mostMs + debtMs);
    this.#fullAtMs.set(id, nowMs + owedMs);
    const remaining = Math.floor(Math.max(0, mostMs - owedMs) / intervalMs + ROUNDING);
    return { allowed: true, remaining, resetMs: owedMs, retryAfterMs: 0 };
  }

  charge(id: Id, { perSecond, burst, debtSecondsMax = 0 }: Rate, units: number): void {
    const nowMs = this.#clock.monotonicMs();
    const known = this.#fullAtMs.get(id);
    if (known === undefined && this.#fullAtMs.size >= this.#lookAt) this.#forgetIdle(nowMs);
    const mostMs = (burst * 1_000) / perSecond + 1_000 * debtSecondsMax;
    const owedMs = Math.max(0, (known ?? 0) - nowMs) + (units * 1_000) / perSecond;
    this.#fullAtMs.set(id, nowMs + Math.max(0, Math.min(owedMs, mostMs)));
  }

  waitMs(id: Id, { perSecond, burst }: Rate, units = 1): number {
    const known = this.#fullAtMs.get(id);
    if (known === undefined) return 0;
    const aheadMs = known - this.#clock.monotonicMs();
    return Math.max(0, aheadMs - ((burst - units) * 1_000) / perSecond);
  }

  clear(): void {
    this.#fullAtMs.clear();
  }

  #forgetIdle(nowMs: number): void {
    for (const [id, fullAtMs] of this.#fullAtMs) {
      if (fullAtMs <= nowMs) this.#fullAtMs.delete(id);
    }
    this.#lookAt = Math.max(BUCKETS_KEPT, 2 * this.#fullAtMs.size);
  }
}

/** Sums of intervals are not exact. */
const ROUNDING = 1e-6;
const ROUNDING_MS = 1e-6;
