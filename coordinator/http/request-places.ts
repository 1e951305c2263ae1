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
import type { IncomingHttpHeaders } from 'node:http';
import type { ClientId } from '../../shared/base/ids.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import type { InFlight } from '../limits/in-flight.ts';

type PlaceState = 'waiting' | 'working' | 'answered' | 'abandoned' | 'left';

/** Takes a place. Throws `too_many_requests` or `overloaded`. */
export function enterRequest(
  inFlight: InFlight,
  clientId: ClientId,
  headers: IncomingHttpHeaders,
): RequestPlace {
  return new RequestPlace(inFlight.enter(clientId, announcedBytes(headers)));
}

/** A body that does not tell its length may be as long as bodies can be. */
function announcedBytes(headers: IncomingHttpHeaders): number {
  if (headers['transfer-encoding'] !== undefined) return LIMITS.bodyBytesMax;
  return Math.min(Number(headers['content-length'] ?? 0), LIMITS.bodyBytesMax);
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
