/**
 * A request's place among its client's requests, from its header to the end of both the work and
 * the reply: a client that hangs up does not get the place back while somebody still works for it.
 * Work is the parse of a large body, and then the endpoint.
 *
 *   idle --- startWork ---> working          idle --- closed ---> left
 *     ^                      |    |
 *     +------ endWork -------+    +--- closed ---> abandoned --- endWork ---> left
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { ClientId } from '../../shared/base/ids.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import type { PlanLimits } from '../../shared/domain/plan.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { InFlight, InFlightPlace } from '../limits/in-flight.ts';

type PlaceState = 'idle' | 'working' | 'abandoned' | 'left';

/** Takes a place. Throws `too_many_requests` or `overloaded`. */
export function enterRequest(
  inFlight: InFlight,
  clientId: ClientId,
  limits: Pick<PlanLimits, 'in_flight'>,
  headers: IncomingHttpHeaders,
): RequestPlace {
  return new RequestPlace(inFlight.enter(clientId, limits.in_flight, announcedBytes(headers)));
}

export function hasBody(headers: IncomingHttpHeaders): boolean {
  if (headers['transfer-encoding'] !== undefined) return true;
  return Number(headers['content-length'] ?? 0) > 0;
}

/** A small body of known length is wholly its client's: there is nothing to count. */
export function isCounted(headers: IncomingHttpHeaders): boolean {
  if (headers['transfer-encoding'] !== undefined) return true;
  return Number(headers['content-length'] ?? 0) > LIMITS.smallBodyBytesMax;
}

/** 0 when the header does not say; such a body is counted as it comes. */
export function announcedBytes(headers: IncomingHttpHeaders): number {
  if (headers['transfer-encoding'] !== undefined) return 0;
  return Math.min(Number(headers['content-length'] ?? 0), LIMITS.bodyBytesMax);
}

export class RequestPlace {
  readonly #place: InFlightPlace;
  #state: PlaceState = 'idle';

  constructor(place: InFlightPlace) {
    this.#place = place;
  }

  /** Bytes of the body have come. Throws `too_many_requests` or `overloaded`. */
  receive(bytes: number): void {
    if (this.#state !== 'left') this.#place.receive(bytes);
  }

  /** Throws when the client has hung up: there is nobody to work for. */
  startWork(): void {
    if (this.#state === 'left') throw new AppError('invalid_argument', 'the client has hung up');
    this.#state = 'working';
  }

  endWork(): void {
    if (this.#state === 'working') this.#state = 'idle';
    else if (this.#state === 'abandoned') this.#leave();
  }

  /** The reply is written or the client has gone. */
  closed(): void {
    if (this.#state === 'working') this.#state = 'abandoned';
    else if (this.#state !== 'left') this.#leave();
  }

  #leave(): void {
    this.#state = 'left';
    this.#place.leave();
  }
}
