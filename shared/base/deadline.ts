import type { Clock } from './clock.ts';

/**
 * A point in monotonic time by which an answer is wanted. Passed down instead of a duration, so
 * that time spent in one room is not given again in the next. It comes everywhere where its request does, so it
 * says which request that is, too.
 */
export class Deadline {
  readonly #clock: Clock;
  readonly #atMs: number;

  /** The id of the request of a caller; '' of work that is our own. */
  readonly origin: string;

  private constructor(clock: Clock, atMs: number, origin: string) {
    this.#clock = clock;
    this.#atMs = atMs;
    this.origin = origin;
  }

  static after(clock: Clock, durationMs: number, origin = ''): Deadline {
    return new Deadline(clock, clock.monotonicMs() + durationMs, origin);
  }

  /** Milliseconds left, never negative. */
  remainingMs(): number {
    return Math.max(0, this.#atMs - this.#clock.monotonicMs());
  }

  get expired(): boolean {
    return this.#clock.monotonicMs() >= this.#atMs;
  }
}
