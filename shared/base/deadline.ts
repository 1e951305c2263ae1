import type { Clock } from './clock.ts';

/**
 * A point in monotonic time by which an answer is wanted. Passed down instead of a duration, so
 * that time spent in one room is not given again in the next.
 */
export class Deadline {
  readonly #clock: Clock;
  readonly #atMs: number;

  private constructor(clock: Clock, atMs: number) {
    this.#clock = clock;
    this.#atMs = atMs;
  }

  static after(clock: Clock, durationMs: number): Deadline {
    return new Deadline(clock, clock.monotonicMs() + durationMs);
  }

  /** Milliseconds left, never negative. */
  remainingMs(): number {
    return Math.max(0, this.#atMs - this.#clock.monotonicMs());
  }

  get expired(): boolean {
    return this.#clock.monotonicMs() >= this.#atMs;
  }
}
