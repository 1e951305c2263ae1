/**
 * What holds for each client now: its plan's limits and its own. Looked up once, kept until an
 * operator changes anything, so that a change holds for the next request.
 */
import type { ClientId } from '../../shared/base/ids.ts';
import type { PlanLimits } from '../../shared/domain/plan.ts';
import { AppError } from '../../shared/errors/app-error.ts';

const CLIENTS_KEPT = 10_000;

export class ClientLimits {
  readonly #lookUp: (clientId: ClientId) => PlanLimits | undefined;
  readonly #known = new Map<ClientId, PlanLimits>();

  /** `lookUp` finds nothing for a client that was erased. */
  constructor(lookUp: (clientId: ClientId) => PlanLimits | undefined) {
    this.#lookUp = lookUp;
  }

  /** Throws `unauthenticated` for a client that was erased while its request was under way. */
  of(clientId: ClientId): PlanLimits {
    const limits = this.find(clientId);
    if (limits === undefined) throw new AppError('unauthenticated');
    return limits;
  }

  find(clientId: ClientId): PlanLimits | undefined {
    const known = this.#known.get(clientId);
    if (known !== undefined) return known;
    const limits = this.#lookUp(clientId);
    if (limits === undefined) return undefined;
    if (this.#known.size >= CLIENTS_KEPT) this.#known.clear();
    this.#known.set(clientId, limits);
    return limits;
  }

  /** To be called after a plan or a client was changed. */
  changed(): void {
    this.#known.clear();
  }
}
