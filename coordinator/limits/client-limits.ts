/**
 * What holds for each client now: its plan's limits and its own. Looked up once, kept until an
 * operator changes anything, so that a change holds for the next request.
 */
import type { ClientId } from '../../shared/base/ids.ts';
import type { PlanLimits } from '../../shared/domain/plan.ts';

const CLIENTS_KEPT = 10_000;

export class ClientLimits {
  readonly #lookUp: (clientId: ClientId) => PlanLimits;
  readonly #known = new Map<ClientId, PlanLimits>();

  constructor(lookUp: (clientId: ClientId) => PlanLimits) {
    this.#lookUp = lookUp;
  }

  of(clientId: ClientId): PlanLimits {
    let limits = this.#known.get(clientId);
    if (limits === undefined) {
      limits = this.#lookUp(clientId);
      if (this.#known.size >= CLIENTS_KEPT) this.#known.clear();
      this.#known.set(clientId, limits);
    }
    return limits;
  }

  /** To be called after a plan or a client was changed. */
  changed(): void {
    this.#known.clear();
  }
}
