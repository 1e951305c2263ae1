/**
 * Notices that the other end of a link is gone although its socket says nothing (power cut, pulled
 * cable, stopped process). Both ends run it: a ping each interval; when `MISSES_MAX` pings in a row
 * bring no sign of life, the socket is terminated.
 *
 *   0 s   2 s   4 s   6 s   8 s        worst case: the peer dies right after a sign of life
 *   ping  ping  ping  ping  terminate
 *
 * Pings are counted, not time: after a pause of our own process (a long collection, a suspended
 * machine) the peer gets its pings before it is judged. Any message counts as a sign of life.
 */
import type { Clock } from '../base/clock.ts';

export const PING_INTERVAL_MS = 2_000;
const MISSES_MAX = 3;

export class Liveness {
  readonly #clock: Clock;
  readonly #peer: { ping(): void; terminate(): void };
  #misses = 0;
  #cancel: () => void;

  constructor(clock: Clock, peer: { ping(): void; terminate(): void }) {
    this.#clock = clock;
    this.#peer = peer;
    this.#cancel = clock.after(PING_INTERVAL_MS, () => this.#tick());
  }

  /** A message, ping or pong has arrived. */
  heard(): void {
    this.#misses = 0;
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
