/**
 * How many requests of one client may be under way at once, and how many bytes of bodies, from the
 * header of a request to the end of its reply. One client that sends more than it waits for meets
 * its own bounds (429) before it can fill queues and memory that others share; all clients
 * together meet the bound of the process (503).
 */
import { assert } from '../../shared/base/assert.ts';
import type { ClientId } from '../../shared/base/ids.ts';
import { AppError } from '../../shared/errors/app-error.ts';

export interface InFlightOptions {
  requestsPerClientMax: number;
  bodyBytesPerClientMax: number;
  bodyBytesMax: number;
}

interface UnderWay {
  requests: number;
  bodyBytes: number;
}

export class InFlight {
  readonly #options: InFlightOptions;
  readonly #clients = new Map<ClientId, UnderWay>();
  #bodyBytes = 0;

  constructor(options: InFlightOptions) {
    assert(options.requestsPerClientMax > 0, 'a client may have a request under way');
    assert(options.bodyBytesPerClientMax <= options.bodyBytesMax, 'a client fits the process');
    this.#options = options;
  }

  /** Requests of this client that are under way. */
  count(clientId: ClientId): number {
    return this.#clients.get(clientId)?.requests ?? 0;
  }

  /**
   * Takes a place for a request with a body of that size at most; the function gives it back, once.
   * Throws `too_many_requests` or `overloaded`.
   */
  enter(clientId: ClientId, bodyBytes: number): () => void {
    const { requestsPerClientMax, bodyBytesPerClientMax, bodyBytesMax } = this.#options;
    const client = this.#clients.get(clientId) ?? { requests: 0, bodyBytes: 0 };
    if (client.requests >= requestsPerClientMax) {
      throw tooMany(`more than ${requestsPerClientMax} requests`);
    }
    if (client.bodyBytes + bodyBytes > bodyBytesPerClientMax) {
      throw tooMany(`more than ${bodyBytesPerClientMax} bytes of request bodies`);
    }
    if (this.#bodyBytes + bodyBytes > bodyBytesMax) throw new AppError('overloaded');
    this.#clients.set(clientId, client);
    client.requests += 1;
    client.bodyBytes += bodyBytes;
    this.#bodyBytes += bodyBytes;
    let left = false;
    return () => {
      assert(!left, 'a place is given back once');
      left = true;
      client.requests -= 1;
      client.bodyBytes -= bodyBytes;
      this.#bodyBytes -= bodyBytes;
      if (client.requests === 0) this.#clients.delete(clientId);
    };
  }
}

function tooMany(what: string): AppError {
  return new AppError('too_many_requests', `${what} at once; wait for some to end`);
}
