/**
 * How many requests of one client may be under way at once, from the header of a request to the
 * end of its reply. One client that sends more than it waits for meets its own bound (429) before
 * it can fill a queue that others share.
 */
import { assert } from '../../shared/base/assert.ts';
import type { ClientId } from '../../shared/base/ids.ts';
import { AppError } from '../../shared/errors/app-error.ts';

export class InFlight {
  readonly #perClientMax: number;
  readonly #counts = new Map<ClientId, number>();
  #total = 0;

  constructor(options: { perClientMax: number }) {
    assert(options.perClientMax > 0, 'a client may have a request under way');
    this.#perClientMax = options.perClientMax;
  }

  get total(): number {
    return this.#total;
  }

  count(clientId: ClientId): number {
    return this.#counts.get(clientId) ?? 0;
  }

  /** Takes a place, to be given back with `leave`. Throws `too_many_requests`. */
  enter(clientId: ClientId): void {
    const count = this.count(clientId);
    if (count >= this.#perClientMax) {
      throw new AppError(
        'too_many_requests',
        `more than ${this.#perClientMax} requests at once; wait for some to end`,
      );
    }
    this.#counts.set(clientId, count + 1);
    this.#total += 1;
  }

  leave(clientId: ClientId): void {
    const count = this.count(clientId);
    assert(count > 0, 'a place is given back once');
    this.#total -= 1;
    if (count === 1) this.#counts.delete(clientId);
    else this.#counts.set(clientId, count - 1);
  }
}
