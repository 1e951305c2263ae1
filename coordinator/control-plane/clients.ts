/** Clients as operators see them. */
import { type ClientId, randomId } from '../../shared/base/ids.ts';
import type { SecureRandom } from '../../shared/base/random.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import type { Log } from '../../shared/log/log.ts';
import type { ClientRecord } from '../store/clients.ts';
import type { ControlStore } from '../store/control-store.ts';
import { parseName } from './name.ts';
import { type Page, pageOf } from './page.ts';

export class ClientAdmin {
  readonly #store: Pick<ControlStore, 'clients'>;
  readonly #random: SecureRandom;
  readonly #log: Log;

  constructor(deps: { store: Pick<ControlStore, 'clients'>; random: SecureRandom; log: Log }) {
    this.#store = deps.store;
    this.#random = deps.random;
    this.#log = deps.log;
  }

  /** Names are for people and need not differ. Throws `InvalidInput` for a bad one. */
  create(input: { name: string }): ClientRecord {
    const clientId = randomId<ClientId>('cl_', this.#random.bytes);
    const client = this.#store.clients.create({ clientId, name: parseName(input.name, 'name') });
    this.#log.event('client_created', { clientId });
    return client;
  }

  /** One page of clients by id. */
  list(from: { after?: string | undefined; limit?: number | undefined }): Page<ClientRecord> {
    const limit = from.limit ?? LIMITS.adminPageMax;
    const found = this.#store.clients.page(from.after as ClientId | undefined, limit + 1);
    return pageOf(found, limit, (client) => client.clientId);
  }
}
