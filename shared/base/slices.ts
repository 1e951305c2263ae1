/**
 * Long work cut into slices: between two of them the event loop serves others, so that no
 * client's large request holds up everybody's small ones for longer than one slice.
 */
import type { Clock } from './clock.ts';

const SLICE_MS = 4;

export class Slices {
  readonly #clock: Clock;
  #startMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#startMs = clock.monotonicMs();
  }

  /** True when the slice is used up; then `await rest()`. */
  get due(): boolean {
    return this.#clock.monotonicMs() - this.#startMs >= SLICE_MS;
  }

  /** Ends the slice; resolves at the beginning of the next. */
  async rest(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#startMs = this.#clock.monotonicMs();
  }
}
