/**
 * The current epoch of each client, in memory. An epoch is raised in the same transaction that
 * takes a right away (`clients.epoch`) and here right after that transaction has committed; every
 * cached key of an older epoch is void from then on. Numbers only go up, so telling twice or
 * late is harmless.
 */
import type { ClientId } from '../../shared/base/ids.ts';

export interface EpochBook {
  /** 0 for a client that nobody has spoken of. */
  current(clientId: ClientId): number;
  /** Takes note of an epoch that is committed. */
  raise(clientId: ClientId, epoch: number): void;
}

export class Epochs implements EpochBook {
  readonly #current = new Map<ClientId, number>();

  current(clientId: ClientId): number {
    return this.#current.get(clientId) ?? 0;
  }

  raise(clientId: ClientId, epoch: number): void {
    if (epoch > this.current(clientId)) this.#current.set(clientId, epoch);
  }
}
