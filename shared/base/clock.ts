/**
 * The only place that reads a clock. Everything else takes a `Clock`, so that a test owns time.
 */

export interface Clock {
  /** Milliseconds since 1970-01-01T00:00:00Z. May jump when the machine's clock is set. */
  now(): number;
  /** Milliseconds, fractional, from an arbitrary origin; never goes back. */
  monotonicMs(): number;
  /** Calls `action` once after `delayMs`; the returned function cancels it. Does not hold the
   * process open. */
  after(delayMs: number, action: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, action) {
    const timer = setTimeout(action, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** The longest interval that a timer takes: about 25 days. */
const INTERVAL_MS_MAX = 2 ** 31 - 1;

/**
 * Keeps the process from ending by itself although nothing is under way in it, until the returned
 * function is called.
 */
export function holdProcessOpen(): () => void {
  const timer = setInterval(() => undefined, INTERVAL_MS_MAX);
  return () => clearInterval(timer);
}

interface Alarm {
  at: number;
  action: () => void;
}

/** A clock that stands still until a test moves it. */
export class ManualClock implements Clock {
  #nowMs: number;
  readonly #alarms = new Set<Alarm>();

  constructor(nowMs = 1_700_000_000_000) {
    this.#nowMs = nowMs;
  }

  now(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(delayMs: number, action: () => void): () => void {
    const alarm = { at: this.#nowMs + delayMs, action };
    this.#alarms.add(alarm);
    return () => this.#alarms.delete(alarm);
  }

  /** Moves time forward and fires what has come due, earliest first. */
  advance(deltaMs: number): void {
    this.#nowMs += deltaMs;
    const due = [...this.#alarms].filter((alarm) => alarm.at <= this.#nowMs);
    for (const alarm of due.sort((a, b) => a.at - b.at)) {
      if (this.#alarms.delete(alarm)) alarm.action();
    }
  }
}
