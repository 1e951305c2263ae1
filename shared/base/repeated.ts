import type { Clock } from './clock.ts';

/** Work that is done again and again, a pause after each end of it; it may not reject. */
export class Repeated {
  readonly #clock: Clock;
  readonly #pauseMs: number;
  readonly #work: () => Promise<void>;
  #cancel: (() => void) | undefined;
  #running: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(clock: Clock, pauseMs: number, work: () => Promise<void>) {
    this.#clock = clock;
    this.#pauseMs = pauseMs;
    this.#work = work;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** The first time is after a pause, too, or after `firstMs`. */
  start(firstMs = this.#pauseMs): void {
    if (this.#closed) return;
    this.#cancel = this.#clock.after(firstMs, () => {
      this.#running = this.#work().finally(() => this.start());
    });
  }

  /** What is under way ends; nothing more is begun. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    await this.#running;
  }
}
