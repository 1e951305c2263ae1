/** The collections of clients as operators see them: which there are, and which of them are paused. */
import type { ClientId } from '../../shared/base/ids.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Origin } from '../store/admin-audit.ts';
import type { CollectionUse } from '../store/collection-uses.ts';
import type { CollectionRecord } from '../store/collections.ts';
import { parseName } from './name.ts';
import { type Page, pageOf } from './page.ts';

export interface CollectionView {
  record: CollectionRecord;
  use: Readonly<CollectionUse>;
}

export interface CollectionAdminDeps {
  clients: { show(clientId: string): { clientId: ClientId } };
  pausing: {
    ofClient(clientId: ClientId): CollectionView[];
    pause(record: CollectionRecord, reason: string, origin: Origin): Readonly<CollectionUse>;
    wake(record: CollectionRecord, origin: Origin): Readonly<CollectionUse>;
  };
}

/** Which one: its client has to be named, too, so that a wrong id can not be another client's. */
export interface CollectionName {
  client: string;
  collection: string;
}

export class CollectionAdmin {
  readonly #deps: CollectionAdminDeps;

  constructor(deps: CollectionAdminDeps) {
    this.#deps = deps;
  }

  /** One page by id. Throws `not_found`. */
  list(
    client: string,
    {
      after = '',
      limit = LIMITS.adminPageMax,
    }: { after?: string | undefined; limit?: number | undefined },
  ): Page<CollectionView> {
    const { clients, pausing } = this.#deps;
    const all = pausing.ofClient(clients.show(client).clientId);
    const found = all.filter(({ record }) => record.collectionId > after).slice(0, limit + 1);
    return pageOf(found, limit, ({ record }) => record.collectionId);
  }

  /** Its requests are refused until it is woken, its data is kept. Throws `not_found` and `InvalidInput`. */
  pause(origin: Origin, name: CollectionName, input: { reason: string }): CollectionView {
    const reason = parseName(input.reason, 'reason');
    const { record } = this.#find(name);
    return { record, use: this.#deps.pausing.pause(record, reason, origin) };
  }

  /** No change when it is not paused. Throws `not_found`. */
  wake(origin: Origin, name: CollectionName): CollectionView {
    const { record } = this.#find(name);
    return { record, use: this.#deps.pausing.wake(record, origin) };
  }

  #find({ client, collection }: CollectionName): CollectionView {
    const { clients, pausing } = this.#deps;
    const all = pausing.ofClient(clients.show(client).clientId);
    const found = all.find(({ record }) => record.collectionId === collection);
    if (found === undefined) throw new AppError('not_found', 'the client has no such collection');
    return found;
  }
}
