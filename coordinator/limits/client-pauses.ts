/** What a client may still do while it is paused: see to its account, and make room. */
import type { ClientId } from '../../shared/base/ids.ts';
import type { Permission } from '../../shared/domain/permissions.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { ClientPause } from '../store/clients.ts';

export interface ClientPausesDeps {
  pauseOf: (clientId: ClientId) => ClientPause | null;
  /** Where a client can see and raise its budget; undefined when there is no such place. */
  billingUrl: string | undefined;
}

export interface Wanted {
  needs: Permission;
  /** It deletes, and does nothing else. */
  frees: boolean;
}

/** Those that are about a client's data. */
const READS: ReadonlySet<Permission> = new Set([
  'collections:read',
  'points:read',
  'points:search',
]);
const WRITES: ReadonlySet<Permission> = new Set(['collections:manage', 'points:write']);

export class ClientPauses {
  readonly #deps: ClientPausesDeps;

  constructor(deps: ClientPausesDeps) {
    this.#deps = deps;
  }

  /** Throws `budget_spent` or `paused` for what a pause of the client does not allow. */
  check(clientId: ClientId, wanted: Wanted): void {
    const paused = this.#deps.pauseOf(clientId);
    if (paused !== null && isRefused(paused, wanted)) throw this.#refusal(paused);
  }

  #refusal({ pause, scope }: ClientPause): AppError {
    const what = scope === 'writes' ? 'writes are' : 'the client is';
    if (pause === 'manual') {
      return new AppError('paused', `${what} paused by the operator; the data is kept`);
    }
    const { billingUrl } = this.#deps;
    const where = billingUrl === undefined ? '' : ` at ${billingUrl}`;
    const text = `${what} paused, since the budget of this month is spent: raise it${where}, or wait for the next month`;
    return new AppError('budget_spent', text);
  }
}

function isRefused({ scope }: ClientPause, { needs, frees }: Wanted): boolean {
  if (WRITES.has(needs)) return scope === 'all' || !frees;
  return scope === 'all' && READS.has(needs);
}
