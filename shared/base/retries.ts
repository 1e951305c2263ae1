/**
 * Work that has to be done in the end, tried again with growing pauses:
 *
 *   retry(key) -> pause of 1 s, 2 s, 4 s, ... 60 s -> its action;    settle(key) -> forgotten
 *
 * There is one pending try of a key at a time; `Clock` owns the time.
 */
import type { Clock } from './clock.ts';

const DELAY_MS_MIN = 1_000;
const DELAY_MS_MAX = 60_000;

interface Pending {
  attempts: number;
  cancel: () => void;
}

export class Retries<Key> {
  readonly #clock: Clock;
  readonly #action: (key: Key) => void;
  readonly #pending = new Map<Key, Pending>();
  #closed = false;

  constructor(clock: Clock, action: (key: Key) => void) {
    this.#clock = clock;
    this.#action = action;
  }

  /** Tries again later. Answers how many tries have failed and when the next is; not when closed. */
  retry(key: Key): { attempts: number; delayMs: number } | undefined {
    if (this.#closed) return undefined;
    const before = this.#pending.get(key);
    before?.cancel();
    const attempts = (before?.attempts ?? 0) + 1;
    const delayMs = Math.min(DELAY_MS_MAX, DELAY_MS_MIN * 2 ** (attempts - 1));
    const cancel = this.#clock.after(delayMs, () => this.#action(key));
    this.#pending.set(key, { attempts, cancel });
    return { attempts, delayMs };
  }

  /** There is nothing left to try. */
  settle(key: Key): void {
    this.#pending.get(key)?.cancel();
    this.#pending.delete(key);
  }

  /** No action is called from now on. */
  close(): void {
    this.#closed = true;
    for (const { cancel } of this.#pending.values()) cancel();
    this.#pending.clear();
  }
}
