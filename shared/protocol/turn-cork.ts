/**
 * Frames that are sent within one turn of the event loop leave in one write: a system call and a
 * wake-up of the other end cost more than the frame of a search. Callers who come together, as
 * they do under load, are also read together, so each process works through a batch while its
 * caches are warm. Nobody waits for a timer: the turn ends when everything that had come is read.
 *
 *   send --cork--> held --end of the turn, or enough frames--> written
 *
 * What is sent while `setImmediate` callbacks run would wait for those of the next turn. Who knows that
 * it is going to send then says so before (`expect`), after it has asked for its own callback.
 */
import type { Writable } from 'node:stream';

/** More than that is not held back, so that the other end can begin. */
const FRAMES_MAX = 8;

export class TurnCork {
  readonly #socket: Writable;
  #state: 'open' | 'corked' = 'open';
  #held = 0;

  constructor(socket: Writable) {
    this.#socket = socket;
  }

  /** Holds what is sent from here on until the end of the turn. */
  expect(): void {
    if (this.#state === 'corked') return;
    this.#state = 'corked';
    this.#held = 0;
    this.#socket.cork();
    setImmediate(this.#release);
  }

  /** To be called before each frame is sent. */
  hold(): void {
    this.expect();
    if (this.#held > 0 && this.#held % FRAMES_MAX === 0) {
      this.#socket.uncork();
      this.#socket.cork();
    }
    this.#held += 1;
  }

  readonly #release = (): void => {
    this.#state = 'open';
    this.#socket.uncork();
  };
}
