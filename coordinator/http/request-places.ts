/**
 * A request's place among its client's requests, from its header to the end of both the work and
 * the reply: a client that hangs up does not get the place back while a worker still works for it.
 *
 *   waiting --- startWork ---> working --- endWork ---> answered --- closed ---> left
 *      |                          |
 *      | closed                   | closed
 *      v                          v
 *    left                     abandoned --- endWork ---> left
 */
import type { ClientId } from '../../shared/base/ids.ts';
import type { InFlight } from '../limits/in-flight.ts';

type PlaceState = 'waiting' | 'working' | 'answered' | 'abandoned' | 'left';

export class RequestPlaces {
  readonly #inFlight: InFlight;
  #onEmpty: (() => void) | undefined;

  constructor(inFlight: InFlight) {
    this.#inFlight = inFlight;
  }

  get closing(): boolean {
    return this.#onEmpty !== undefined;
  }

  /** From now on `onEmpty` is called whenever nobody has a place, now if that is so. */
  close(onEmpty: () => void): void {
    this.#onEmpty = onEmpty;
    if (this.#inFlight.total === 0) onEmpty();
  }

  /** Throws `too_many_requests`. */
  enter(clientId: ClientId): RequestPlace {
    this.#inFlight.enter(clientId);
    return new RequestPlace(() => {
      this.#inFlight.leave(clientId);
      if (this.#inFlight.total === 0) this.#onEmpty?.();
    });
  }
}

export class RequestPlace {
  readonly #giveBack: () => void;
  #state: PlaceState = 'waiting';

  constructor(giveBack: () => void) {
    this.#giveBack = giveBack;
  }

  startWork(): void {
    if (this.#state === 'waiting') this.#state = 'working';
  }

  endWork(): void {
    if (this.#state === 'working') this.#state = 'answered';
    else if (this.#state === 'abandoned') this.#leave();
  }

  /** The reply is written or the client has gone. */
  closed(): void {
    if (this.#state === 'working') this.#state = 'abandoned';
    else if (this.#state !== 'left') this.#leave();
  }

  #leave(): void {
    this.#state = 'left';
    this.#giveBack();
  }
}
