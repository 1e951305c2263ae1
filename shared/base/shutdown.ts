/**
 * Ordered shutdown. Parts register as they start; closing runs in reverse order, each part given
 * what is left of one deadline. A part that fails or is late does not keep the next from closing;
 * every failure is reported at the end.
 */
import type { Clock } from './clock.ts';
import { Deadline } from './deadline.ts';

export interface Closable {
  close(deadline: Deadline): Promise<void> | void;
}

export class Shutdown {
  readonly #clock: Clock;
  readonly #parts: { name: string; part: Closable }[] = [];
  #closing: Promise<Error[]> | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Registers and returns `part`. */
  add<T extends Closable>(name: string, part: T): T {
    this.#parts.push({ name, part });
    return part;
  }

  /** Closes everything once; later calls get the first call's result (the failures, often none). */
  close(timeoutMs: number): Promise<Error[]> {
    this.#closing ??= this.#closeAll(Deadline.after(this.#clock, timeoutMs));
    return this.#closing;
  }

  async #closeAll(deadline: Deadline): Promise<Error[]> {
    const failures: Error[] = [];
    for (const { name, part } of this.#parts.toReversed()) {
      try {
        await this.#closeOne(name, part, deadline);
      } catch (error) {
        failures.push(new Error(`closing ${name}`, { cause: error }));
      }
    }
    return failures;
  }

  #closeOne(name: string, part: Closable, deadline: Deadline): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const cancel = this.#clock.after(deadline.remainingMs(), () => {
      reject(new Error(`${name} did not close in time`));
    });
    Promise.try(() => part.close(deadline)).then(resolve, reject);
    return promise.finally(cancel);
  }
}
