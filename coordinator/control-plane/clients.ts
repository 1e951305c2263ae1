/** Clients as operators see them. Each change is one transaction with its row in the audit log. */
import type { Clock } from '../../shared/base/clock.ts';
import { type ClientId, type RequestId, randomId } from '../../shared/base/ids.ts';
import { InvalidInput } from '../../shared/base/invalid.ts';
import type { SecureRandom } from '../../shared/base/random.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import type { Notice } from '../../shared/domain/notices.ts';
import { PLAN_DEFAULT } from '../../shared/domain/plan.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Log } from '../../shared/log/log.ts';
import type { Origin } from '../store/admin-audit.ts';
import type { ClientChange, ClientPause, ClientRecord } from '../store/clients.ts';
import type { ControlStore } from '../store/control-store.ts';
import { checkGrace } from './grace.ts';
import type { KeyCaches } from './keys.ts';
import { parseName } from './name.ts';
import { type Page, pageOf } from './page.ts';
import { parseSomeLimits, type Terms } from './plan-terms.ts';
import { checkVersion, type Expected } from './version.ts';

type Store = Pick<ControlStore, 'clients' | 'plans' | 'audited' | 'afterCommit'>;

export interface ClientAdminDeps {
  store: Store;
  caches: KeyCaches;
  /** Told after each change. */
  limitsChanged: () => void;
  /** Tells operators and the client that it was paused. */
  tell: (notice: Notice) => void;
  /** Told when a client is to be erased. */
  erasure: { plan(): void };
  random: SecureRandom;
  clock: Clock;
  log: Log;
}

const GRACE_SECONDS_DEFAULT = 7 * 24 * 3_600;

/** Fields that are absent stay as they are. */
export interface ClientUpdate extends Expected {
  name?: string | undefined;
  planId?: string | undefined;
  /** Replaces all overrides. */
  overrides?: Terms | undefined;
}

export class ClientAdmin {
  readonly #deps: ClientAdminDeps;

  constructor(deps: ClientAdminDeps) {
    this.#deps = deps;
  }

  /** Names are for people and need not differ. Throws `InvalidInput` for a bad one. */
  create(origin: Origin, input: { name: string; planId?: string | undefined }): ClientRecord {
    const { store, random, log } = this.#deps;
    const clientId = randomId<ClientId>('cl_', random.bytes);
    const name = parseName(input.name, 'name');
    const planId = input.planId ?? PLAN_DEFAULT;
    const client = store.audited(origin, () => {
      this.#checkPlan(planId);
      const result = store.clients.create({ clientId, name, planId });
      const after = shownOf(result);
      return { action: 'client.create', target: clientId, before: null, after, result };
    });
    store.afterCommit(() => log.event('client_created', { clientId }));
    return client;
  }

  /** One page of clients by id. */
  list(from: {
    after?: string | undefined;
    limit?: number | undefined;
    /** Only those of this name. */
    name?: string | undefined;
  }): Page<ClientRecord> {
    const { limit = LIMITS.adminPageMax, name } = from;
    const after = from.after as ClientId | undefined;
    const found = this.#deps.store.clients.page({ after, name }, limit + 1);
    return pageOf(found, limit, (client) => client.clientId);
  }

  /** Throws `not_found`. */
  show(clientId: string): ClientRecord {
    const client = this.#deps.store.clients.get(clientId as ClientId);
    if (client === undefined) throw new AppError('not_found', 'there is no such client');
    return client;
  }

  /** Name, plan, overrides. Throws `not_found`, `InvalidInput` or `precondition_failed`. */
  update(origin: Origin, clientId: string, update: ClientUpdate): ClientRecord {
    const change: ClientChange = {};
    if (
      update.name === undefined &&
      update.planId === undefined &&
      update.overrides === undefined
    ) {
      throw new InvalidInput('', 'nothing to change: give name, plan or overrides');
    }
    if (update.name !== undefined) change.name = parseName(update.name, 'name');
    if (update.planId !== undefined) change.planId = update.planId;
    if (update.overrides !== undefined) {
      change.overrides = parseSomeLimits(update.overrides, 'overrides');
    }
    return this.#change(origin, 'client.update', clientId, update, (client) => {
      checkNotDeleting(client);
      if (change.planId !== undefined) this.#checkPlan(change.planId);
      return change;
    });
  }

  /**
   * From the return of this call on every key of the client is refused; its data stays. Throws
   * `not_found`, `InvalidInput` for an empty reason, or `conflict` when it is being deleted.
   */
  suspend(
    origin: Origin,
    clientId: string,
    { reason, ...expected }: { reason: string } & Expected,
  ): ClientRecord {
    const stateReason = parseName(reason, 'reason');
    return this.#change(origin, 'client.suspend', clientId, expected, (client) => {
      checkNotDeleting(client);
      return { state: 'suspended', stateReason, paused: null };
    });
  }

  /**
   * From the return of this call on its keys may not write, or do nothing with its data; that is kept,
   * and without reads moved to the cold disks. Throws `not_found`, `InvalidInput` for an empty reason,
   * or `conflict` when it is suspended or being deleted.
   */
  pause(
    origin: Origin,
    clientId: string,
    { reason, scope, ...expected }: { reason: string; scope: ClientPause['scope'] } & Expected,
  ): ClientRecord {
    const stateReason = parseName(reason, 'reason');
    return this.#change(origin, 'client.pause', clientId, expected, (client) => {
      checkMayPause(client);
      return { state: 'paused', stateReason, paused: { pause: 'manual', scope } };
    });
  }

  /**
   * The same since its budget is spent; a pause by an operator stays. No change when it is so already. Whether it
   * is paused for that.
   */
  pauseForBudget(clientId: ClientId, scope: ClientPause['scope']): boolean {
    const client = this.#deps.store.clients.get(clientId);
    if (client?.state !== 'active' && client?.state !== 'paused') return false;
    if (client.paused?.pause === 'manual') return false;
    if (client.paused?.scope === scope) return true;
    const stateReason = 'the budget of this month is spent';
    const change = { state: 'paused', stateReason, paused: { pause: 'budget', scope } } as const;
    this.#change(this.#system(), 'client.pause', clientId, {}, () => change);
    return true;
  }

  /** Ends such a pause, also of one that is being deleted and may come back. No change when there is none. */
  liftBudgetPause(clientId: ClientId): void {
    const client = this.#deps.store.clients.get(clientId);
    if (client?.paused?.pause !== 'budget') return;
    const isPaused = client.state === 'paused';
    const change = isPaused ? ACTIVE : { stateReason: null, paused: null };
    const action = isPaused ? 'client.resume' : 'client.update';
    this.#change(this.#system(), action, clientId, {}, () => change);
  }

  #system(): Origin {
    return { actor: 'system', requestId: randomId<RequestId>('req_', this.#deps.random.bytes) };
  }

  /**
   * Makes a suspended or paused client active again, and one that is being deleted what it was before.
   * Throws `not_found`, or `conflict` when it is too late.
   */
  resume(origin: Origin, clientId: string, expected: Expected): ClientRecord {
    return this.#change(origin, 'client.resume', clientId, expected, (client) => {
      const { state, stateReason, paused } = client;
      if (state !== 'deleting') return ACTIVE;
      this.#checkNotLate(client);
      if (stateReason === null) return { state: 'active', eraseAt: null };
      return { state: paused === null ? 'suspended' : 'paused', eraseAt: null };
    });
  }

  /**
   * From the return of this call on every key of the client is refused; all it has is erased after
   * the grace, 7 days by default. Repeating it with another grace sets that. Throws `not_found`,
   * `InvalidInput`, or `conflict` when it is too late.
   */
  delete(
    origin: Origin,
    clientId: string,
    { graceSeconds, ...expected }: { graceSeconds?: number | undefined } & Expected,
  ): ClientRecord {
    checkGrace(graceSeconds, LIMITS.clientGraceSecondsMax);
    const { clock, erasure } = this.#deps;
    const client = this.#change(origin, 'client.delete', clientId, expected, (before) => {
      if (before.state === 'deleting') this.#checkNotLate(before);
      const seconds = graceSeconds ?? GRACE_SECONDS_DEFAULT;
      const isKept = graceSeconds === undefined && before.eraseAt !== null;
      const eraseAt = isKept ? before.eraseAt : clock.now() + seconds * 1_000;
      return { state: 'deleting', eraseAt };
    });
    erasure.plan();
    return client;
  }

  #checkNotLate({ eraseAt }: ClientRecord): void {
    if (eraseAt !== null && eraseAt > this.#deps.clock.now()) return;
    throw new AppError('conflict', 'the client is being erased');
  }

  #change(
    origin: Origin,
    action: string,
    clientId: string,
    expected: Expected,
    changeOf: (client: ClientRecord) => ClientChange,
  ): ClientRecord {
    const { store, caches, limitsChanged, log } = this.#deps;
    const client = store.audited(origin, () => {
      const before = this.show(clientId);
      checkVersion(before, expected);
      const result = store.clients.change(before.clientId, changeOf(before));
      if (isPausedNow(before, result)) this.#tellPaused(result);
      const shown = { before: shownOf(before), after: shownOf(result) };
      return { action, target: clientId, ...shown, result };
    });
    const { state, epoch } = client;
    store.afterCommit(() => {
      caches.epochRaised(client.clientId, epoch);
      // Its keys may have been tried, and noted as unknown, while it was not active.
      if (state === 'active') caches.keyCreated();
      limitsChanged();
      log.event('client_changed', { clientId: client.clientId, action, state });
    });
    return client;
  }

  #tellPaused({ clientId, version, paused }: ClientRecord): void {
    const data = { reason: paused?.pause ?? null, scope: paused?.scope ?? null };
    this.#deps.tell({ type: 'client.paused', clientId, key: `${clientId}/${version}`, data });
  }

  #checkPlan(planId: string): void {
    if (this.#deps.store.plans.get(planId) !== undefined) return;
    throw new InvalidInput('plan', 'is not the name of a plan');
  }
}

const ACTIVE = { state: 'active', stateReason: null, paused: null } as const;

/** Whether the change paused it, or for another reason or more than before. */
function isPausedNow({ paused: before }: ClientRecord, { paused: after }: ClientRecord): boolean {
  return after !== null && (after.pause !== before?.pause || after.scope !== before.scope);
}

function checkMayPause(client: ClientRecord): void {
  checkNotDeleting(client);
  if (client.state !== 'suspended') return;
  throw new AppError('conflict', 'the client is suspended, which is more than paused');
}

function checkNotDeleting({ state }: ClientRecord): void {
  if (state === 'deleting') throw new AppError('conflict', 'the client is being deleted');
}

/** What the audit log may show of a client. */
export function shownOf(client: ClientRecord): object {
  const { name, state, stateReason, paused, planId, overrides, eraseAt } = client;
  return {
    name,
    state,
    reason: stateReason,
    paused,
    plan: planId,
    overrides,
    erase_at: eraseAt && Math.abs(eraseAt),
  };
}
