/**
 * Ctrl-C once asks for a drain, twice for an end now.
 *
 * Under `npm start` one Ctrl-C arrives twice: the terminal sends it to the whole process group,
 * and npm passes its own copy on. So signals that come together count as one.
 */
import type { Clock } from '../../../shared/base/clock.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
const SAME_PRESS_MS = 400;

export class StopSignals {
  readonly #clock: Clock;
  readonly #first = Promise.withResolvers<'stop'>();
  readonly #second = Promise.withResolvers<'stop-now'>();
  #firstAtMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves when a stop is wanted. */
  get first(): Promise<'stop'> {
    return this.#first.promise;
  }

  /** Resolves when the drain is not to be waited for. */
  get second(): Promise<'stop-now'> {
    return this.#second.promise;
  }

  start(): void {
    for (const signal of SIGNALS) process.on(signal, this.receive);
  }

  close(): void {
    for (const signal of SIGNALS) process.off(signal, this.receive);
  }

  /** What a signal does; a test may call it in place of one. */
  readonly receive = (): void => {
    const nowMs = this.#clock.monotonicMs();
    if (this.#firstAtMs === undefined) {
      this.#firstAtMs = nowMs;
      this.#first.resolve('stop');
    } else if (nowMs - this.#firstAtMs > SAME_PRESS_MS) {
      this.#second.resolve('stop-now');
    }
  };
}
