/**
 * How many requests of one client may be under way at once, and how many bytes of bodies, from the
 * header of a request to the end of its reply. One client that sends more than it waits for meets
 * its own bounds (429) before it can fill queues and memory that others share; all clients
 * together meet the bound of the process (503).
 *
 * What a header announces is reserved from its own client only. The bytes that all share are
 * counted as they arrive: a promise costs its sender nothing, so it may not keep anybody out. The
 * first bytes of each body are not shared at all, so small requests go on when large ones fill
 * the process; they are bounded by the number of requests of each client.
 */
import { assert } from '../../shared/base/assert.ts';
import type { ClientId } from '../../shared/base/ids.ts';
import { AppError } from '../../shared/errors/app-error.ts';

const CLIENTS_KEPT = 4_096;

export interface InFlightOptions {
  bodyBytesPerClientMax: number;
  bodyBytesMax: number;
  /** So many bytes of each body do not count towards `bodyBytesMax`. */
  smallBodyBytesMax: number;
}

/** The place of one request. */
export interface InFlightPlace {
  /** Bytes of the body have come. Throws `too_many_requests` or `overloaded`. */
  receive(bytes: number): void;
  /** Gives the place back; once. */
  leave(): void;
}

interface UnderWay {
  requests: number;
  bodyBytes: number;
}

export class InFlight {
  readonly #options: InFlightOptions;
  /** Idle clients stay, up to a number: a Map whose entries come and go is costly (`PendingCalls`). */
  readonly #clients = new Map<ClientId, UnderWay>();
  #sharedBytes = 0;

  constructor(options: InFlightOptions) {
    assert(options.bodyBytesPerClientMax <= options.bodyBytesMax, 'a client fits the process');
    this.#options = options;
  }

  /** Requests of this client that are under way. */
  count(clientId: ClientId): number {
    return this.#clients.get(clientId)?.requests ?? 0;
  }

  /**
   * Takes a place, if the client has less than `requestsMax` of them, for a request whose body is
   * announced to be that long; 0 when it does not say.
   * Throws `too_many_requests` or `overloaded`: a body that does not fit now is better not sent.
   */
  enter(clientId: ClientId, requestsMax: number, announcedBytes: number): InFlightPlace {
    const client = this.#of(clientId);
    if (client.requests >= requestsMax) throw tooMany(`more than ${requestsMax} requests`);
    this.#checkClient(client, announcedBytes);
    this.#checkShared(this.#sharedPart(announcedBytes));
    client.requests += 1;
    client.bodyBytes += announcedBytes;
    return this.#place(client, announcedBytes);
  }

  #of(clientId: ClientId): UnderWay {
    let client = this.#clients.get(clientId);
    if (client === undefined) {
      if (this.#clients.size >= CLIENTS_KEPT) this.#forgetIdle();
      client = { requests: 0, bodyBytes: 0 };
      this.#clients.set(clientId, client);
    }
    return client;
  }

  #forgetIdle(): void {
    for (const [clientId, { requests }] of this.#clients) {
      if (requests === 0) this.#clients.delete(clientId);
    }
  }

  #place(client: UnderWay, announcedBytes: number): InFlightPlace {
    let reserved = announcedBytes;
    let received = 0;
    let shared = 0;
    let left = false;
    return {
      receive: (bytes) => {
        assert(!left, 'a body comes while its request has a place');
        const more = Math.max(0, received + bytes - reserved);
        const moreShared = this.#sharedPart(received + bytes) - shared;
        this.#checkClient(client, more);
        this.#checkShared(moreShared);
        received += bytes;
        reserved += more;
        shared += moreShared;
        client.bodyBytes += more;
        this.#sharedBytes += moreShared;
      },
      leave: () => {
        assert(!left, 'a place is given back once');
        left = true;
        client.requests -= 1;
        client.bodyBytes -= reserved;
        this.#sharedBytes -= shared;
      },
    };
  }

  #sharedPart(bodyBytes: number): number {
    return Math.max(0, bodyBytes - this.#options.smallBodyBytesMax);
  }

  #checkClient(client: UnderWay, bytes: number): void {
    const { bodyBytesPerClientMax } = this.#options;
    if (client.bodyBytes + bytes <= bodyBytesPerClientMax) return;
    throw tooMany(`more than ${bodyBytesPerClientMax} bytes of request bodies`);
  }

  #checkShared(bytes: number): void {
    if (bytes > 0 && this.#sharedBytes + bytes > this.#options.bodyBytesMax) {
      throw new AppError('overloaded');
    }
  }
}

function tooMany(what: string): AppError {
  return new AppError('too_many_requests', `${what} at once; wait for some to end`);
}
