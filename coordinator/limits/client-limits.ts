/**
 * What holds for each client now: its plan's limits and its own, and whether it is paused. Looked up
 * once, kept until an operator changes anything, so that a change holds for the next request.
 */
import type { ClientId } from '../../shared/base/ids.ts';
import type { PlanLimits } from '../../shared/domain/plan.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { ClientPause } from '../store/clients.ts';

const CLIENTS_KEPT = 10_000;

export interface ClientTerms {
  limits: PlanLimits;
  paused: ClientPause | null;
}

export class ClientLimits {
  readonly #lookUp: (clientId: ClientId) => ClientTerms | undefined;
  readonly #known = new Map<ClientId, ClientTerms>();

  /** `lookUp` finds nothing for a client that was erased. */
  constructor(lookUp: (clientId: ClientId) => ClientTerms | undefined) {
    this.#lookUp = lookUp;
  }

  /** Throws `unauthenticated` for a client that was erased while its request was under way. */
  of(clientId: ClientId): PlanLimits {
    const limits = this.find(clientId);
    if (limits === undefined) throw new AppError('unauthenticated');
    return limits;
  }

  find(clientId: ClientId): PlanLimits | undefined {
    return this.#terms(clientId)?.limits;
  }

  /** Null for one that is not paused, or is no more. */
  pauseOf(clientId: ClientId): ClientPause | null {
    return this.#terms(clientId)?.paused ?? null;
  }

  #terms(clientId: ClientId): ClientTerms | undefined {
    const known = this.#known.get(clientId);
    if (known !== undefined) return known;
    const terms = this.#lookUp(clientId);
    if (terms === undefined) return undefined;
    if (this.#known.size >= CLIENTS_KEPT) this.#known.clear();
    this.#known.set(clientId, terms);
    return terms;
  }

  /** To be called after a plan or a client was changed. */
  changed(): void {
    this.#known.clear();
  }
}
