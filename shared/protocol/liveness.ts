/**
 * Notices that the other end of a link is gone although its socket says nothing (power cut, pulled
 * cable, stopped process). Both ends run it: a ping each half second; after two in a row without a
 * sign of life the peer is called silent, and when `MISSES_MAX` bring none the socket is terminated.
 *
 *   0 s    .5 s   1 s           ...    8 s          worst case: the peer dies right after a sign
 *   ping   ping   ping, silent  ping   terminate    of life
 *
 * Pings are counted, not time: after a pause of our own process (a long collection, a suspended
 * machine) the peer gets its pings before it is judged. Any message counts as a sign of life.
 */
import type { Clock } from '../base/clock.ts';

export const PING_INTERVAL_MS = 500;
/** Not earlier: a machine that pauses for some seconds would lose all its links at once. */
const MISSES_MAX = 15;
const SILENT_MISSES = 2;

export class Liveness {
  readonly #clock: Clock;
  readonly #peer: { ping(): void; terminate(): void };
  #misses = 0;
  #hasHeard = false;
  #cancel: () => void;

  constructor(clock: Clock, peer: { ping(): void; terminate(): void }) {
    this.#clock = clock;
    this.#peer = peer;
    this.#cancel = clock.after(PING_INTERVAL_MS, () => this.#tick());
  }

  /** A message, ping or pong has arrived. */
  heard(): void {
    this.#misses = 0;
    this.#hasHeard = true;
  }

  /** Whether anything has arrived at all. */
  get hasHeard(): boolean {
    return this.#hasHeard;
  }

  /** For about how long pings have gone unanswered. */
  get quietMs(): number {
    return this.#misses * PING_INTERVAL_MS;
  }

  /** Whether pings go unanswered. */
  get silent(): boolean {
    return this.#misses > SILENT_MISSES;
  }

  stop(): void {
    this.#cancel();
  }

  #tick(): void {
    if (this.#misses === MISSES_MAX) {
      this.#peer.terminate();
      return;
    }
    this.#misses += 1;
    this.#peer.ping();
    this.#cancel = this.#clock.after(PING_INTERVAL_MS, () => this.#tick());
  }
}
