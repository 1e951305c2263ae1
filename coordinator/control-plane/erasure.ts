/**
 * Clients on their way out: when the grace of one has passed, all its collections are erased, and
 * then its keys and the client itself:
 *
 *   deleting --- erase_at ---> collections: taken away, erased by their workers ---> none left
 *                                    ^   |  some left: a worker is away                 |
 *                                    +---+  again after a pause that grows              v
 *                                                       keys, client, its name on workers: removed, audited
 *
 * What the store says is all there is to know, so that a start takes up what an earlier run left,
 * and each step does no harm when it is repeated.
 */
import type { Clock } from '../../shared/base/clock.ts';
import { type ClientId, type RequestId, randomId } from '../../shared/base/ids.ts';
import type { SecureRandom } from '../../shared/base/random.ts';
import { Retries } from '../../shared/base/retries.ts';
import type { Log } from '../../shared/log/log.ts';
import type { Origin } from '../store/admin-audit.ts';
import type { ControlStore } from '../store/control-store.ts';
import { shownOf } from './clients.ts';
import { termsOf } from './workers.ts';

export interface ErasureDeps {
  store: Pick<ControlStore, 'clients' | 'apiKeys' | 'workers' | 'audited'>;
  /** Erases what a client has, as far as its workers are there; answers how many collections are left, and how
   * many points went, if all could be asked. */
  eraseCollections: (clientId: ClientId) => Promise<{ left: number; points: number | undefined }>;
  clock: Clock;
  random: SecureRandom;
  log: Log;
}

/** The system's clock may be set while the timer runs, so it is looked at now and then. */
const LOOK_EVERY_MS = 60_000;

export class Erasure {
  readonly #deps: ErasureDeps;
  readonly #underWay = new Set<ClientId>();
  /** Points that went, of clients that are being erased; null: not all could be counted. */
  readonly #erased = new Map<ClientId, number | null>();
  readonly #retries: Retries<ClientId>;
  #cancel: (() => void) | undefined;
  #closed = false;

  constructor(deps: ErasureDeps) {
    this.#deps = deps;
    this.#retries = new Retries(deps.clock, (clientId) => void this.#erase(clientId));
  }

  /** Takes up what the store says, now and when the next one is due. */
  plan(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    if (this.#closed) return;
    const { store, clock } = this.#deps;
    const now = clock.now();
    let nextMs = LOOK_EVERY_MS;
    let isWaiting = false;
    for (const { clientId, eraseAt } of store.clients.toErase()) {
      if (eraseAt <= now) {
        if (!this.#underWay.has(clientId)) void this.#erase(clientId);
        continue;
      }
      isWaiting = true;
      nextMs = Math.min(nextMs, eraseAt - now);
      break;
    }
    if (isWaiting) this.#cancel = clock.after(nextMs, () => this.plan());
  }

  /** Begins nothing more; what is left is taken up by the next start. */
  close(): void {
    this.#closed = true;
    this.#cancel?.();
    this.#retries.close();
  }

  async #erase(clientId: ClientId): Promise<void> {
    const { store, eraseCollections, log } = this.#deps;
    this.#underWay.add(clientId);
    try {
      this.#noteBegun(clientId);
      if (!store.clients.beginErasure(clientId)) return this.#settle(clientId);
      const { left, points } = await eraseCollections(clientId);
      this.#count(clientId, points);
      if (this.#closed) return;
      if (left > 0) {
        const next = this.#retries.retry(clientId);
        if (next !== undefined) log.event('client_erase_waits', { clientId, left, ...next });
        return;
      }
      this.#remove(clientId);
    } catch (error) {
      const next = this.#retries.retry(clientId);
      if (next !== undefined) log.event('client_erase_failed', { clientId, ...next, error });
      return;
    }
    this.#settle(clientId);
    log.event('client_erased', { clientId });
  }

  /** What went before this process started has not been counted. */
  #noteBegun(clientId: ClientId): void {
    if (this.#erased.has(clientId)) return;
    const due = this.#deps.store.clients.toErase().find((one) => one.clientId === clientId);
    this.#erased.set(clientId, due !== undefined && due.eraseAt < 0 ? null : 0);
  }

  #count(clientId: ClientId, points: number | undefined): void {
    const before = this.#erased.get(clientId);
    const isKnown = points !== undefined && before !== null;
    this.#erased.set(clientId, isKnown ? (before ?? 0) + points : null);
  }

  #settle(clientId: ClientId): void {
    this.#erased.delete(clientId);
    this.#underWay.delete(clientId);
    this.#retries.settle(clientId);
  }

  #remove(clientId: ClientId): void {
    const { store, random } = this.#deps;
    const requestId = randomId<RequestId>('req_', random.bytes);
    const origin = { actor: 'system', requestId };
    store.audited(origin, () => {
      this.#freeWorkers(origin, clientId);
      const client = store.clients.get(clientId);
      store.apiKeys.removeAll(clientId);
      store.clients.remove(clientId);
      const deleted = this.#erased.get(clientId) ?? null;
      const before = client === undefined ? null : { ...shownOf(client), deleted_points: deleted };
      return { action: 'client.erase', target: clientId, before, after: null, result: undefined };
    });
  }

  /** Workers that held its data alone hold nothing now, and are free for all. */
  #freeWorkers(origin: Origin, clientId: ClientId): void {
    const { store } = this.#deps;
    for (const worker of store.workers.dedicatedTo(clientId)) {
      store.audited(origin, () => {
        const after = { ...worker, dedicatedTo: null };
        const result = store.workers.setTerms(worker.workerId, after);
        const shown = { before: termsOf(worker), after: termsOf(result) };
        return { action: 'worker.update', target: worker.workerId, ...shown, result };
      });
    }
  }
}
