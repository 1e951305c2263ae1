/**
 * Long work on the thread that searches is cut into slices, so that no client's scan or rebuild
 * holds up another client's search for longer than one slice.
 */
import type { Clock } from '../../shared/base/clock.ts';
import type { Deadline } from '../../shared/base/deadline.ts';
import { AppError } from '../../shared/errors/app-error.ts';

const SLICE_MS = 2;

export class Slices {
  readonly #clock: Clock;
  readonly #deadline: Deadline | undefined;
  #startMs: number;
  /** Rows that were read to hold a filter against their payloads. */
  examined = 0;

  constructor(clock: Clock, deadline?: Deadline) {
    this.#clock = clock;
    this.#deadline = deadline;
    this.#startMs = clock.monotonicMs();
  }

  /** True when the slice is used up; then `await rest()`. */
  get due(): boolean {
    return this.#clock.monotonicMs() - this.#startMs >= SLICE_MS;
  }

  /** Lets the event loop serve others. Throws `deadline_exceeded` when the answer comes too late. */
  async rest(): Promise<void> {
    if (this.#deadline?.expired) throw new AppError('deadline_exceeded');
    await nextTurn();
    this.#startMs = this.#clock.monotonicMs();
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
