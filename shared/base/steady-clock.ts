import type { Clock } from './clock.ts';

/** The machine's clock is corrected by so much without anybody wondering. */
const DRIFT_MS_MAX = 60_000;

/**
 * Whether the machine's clock can be relied on for what nothing takes back, such as pruning what is old. A clock
 * that was set, to a wrong time or back to the right one, goes for a while as it should before it is;
 * the same after a start, when nobody knows.
 */
export class SteadyClock {
  readonly #clock: Clock;
  readonly #steadyMs: number;
  #since: { nowMs: number; monotonicMs: number };

  constructor(clock: Clock, { steadyMs }: { steadyMs: number }) {
    this.#clock = clock;
    this.#steadyMs = steadyMs;
    this.#since = { nowMs: clock.now(), monotonicMs: clock.monotonicMs() };
  }

  /** Sees what was set since it was asked last. */
  isSteady(): boolean {
    const nowMs = this.#clock.now();
    const monotonicMs = this.#clock.monotonicMs();
    const passedMs = monotonicMs - this.#since.monotonicMs;
    if (Math.abs(nowMs - this.#since.nowMs - passedMs) > DRIFT_MS_MAX) {
      this.#since = { nowMs, monotonicMs };
      return false;
    }
    return passedMs >= this.#steadyMs;
  }
}
