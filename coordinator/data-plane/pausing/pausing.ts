/**
 * Collections that are paused: their data is on the cold disks of their workers.
 *
 *   active --not used for as long as the plan says--> paused: idle   --next request--> active
 *          --an operator----------------------------> paused: manual --an operator---> active
 *
 * The request that wakes one is sent on as any other: its workers bring the files back first, and it waits
 * for that as long as its deadline allows (`waking` then). The collections of a client that is paused as a
 * whole are frozen, too, and come back the same way when it is not any more.
 */
import type { Clock } from '../../../shared/base/clock.ts';
import {
  type ClientId,
  type CollectionId,
  type RequestId,
  randomId,
  type ShardId,
  type WorkerId,
} from '../../../shared/base/ids.ts';
import type { SecureRandom } from '../../../shared/base/random.ts';
import type { Notice } from '../../../shared/domain/notices.ts';
import { AppError } from '../../../shared/errors/app-error.ts';
import type { Log } from '../../../shared/log/log.ts';
import type { Origin } from '../../store/admin-audit.ts';
import type { CollectionUse } from '../../store/collection-uses.ts';
import type { CollectionRecord } from '../../store/collections.ts';
import type { ControlStore } from '../../store/control-store.ts';
import type { Catalog, Owner } from '../catalog.ts';
import { Freezer, type FreezerDeps } from './freezer.ts';

export interface PausingDeps extends Omit<FreezerDeps, 'isWanted'> {
  catalog: Pick<Catalog, 'find' | 'get' | 'all'>;
  store: Pick<ControlStore, 'collectionUses' | 'audited' | 'transaction'>;
  /** Days without a request after which a client's collections are paused; 0 for never. */
  idleDaysOf: (clientId: ClientId) => number;
  /** Whether nothing of the client's data is read. */
  isClientPaused: (clientId: ClientId) => boolean;
  tell: (notice: Notice) => void;
  clock: Clock;
  random: SecureRandom;
  log: Log;
}

export interface PausedCollection {
  record: CollectionRecord;
  use: Readonly<CollectionUse>;
}

const LOOK_MS = 60_000;
/** Pauses and warnings of one look, each a commit or two: thousands of collections may be due at once. */
const TURNS_MAX = 20;
/** While some are not frozen yet that should be; each time twice as long, up to the usual. */
const AGAIN_MS = 1_000;
const DAY_MS = 86_400_000;
/** How exactly a process that is killed remembers when a collection was used last. */
const KEPT_MS = 3_600_000;
/** A client hears of a pause so long before it, or a quarter of the time if that is less. */
const WARNING_MS = 7 * DAY_MS;

export class Pausing {
  readonly #deps: PausingDeps;
  readonly #freezer: Freezer;
  readonly #uses = new Map<CollectionId, CollectionUse>();
  /** The last use that is in the store. */
  readonly #kept = new Map<CollectionId, number>();
  /** Keys of warnings that were told by this process. */
  readonly #warned = new Map<CollectionId, string>();
  #cancel: (() => void) | undefined;
  #looking: Promise<void> | undefined;
  #againMs = AGAIN_MS;
  #closed = false;

  constructor(deps: PausingDeps) {
    this.#deps = deps;
    this.#freezer = new Freezer({ ...deps, isWanted: (record) => this.isAside(record) });
  }

  start(): void {
    for (const use of this.#deps.store.collectionUses.all()) {
      this.#uses.set(use.collectionId, use);
      this.#kept.set(use.collectionId, use.usedAt);
    }
    // What was paused when an earlier process died may not be frozen everywhere.
    this.#lookIn(AGAIN_MS);
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
    this.#freezer.close();
    try {
      this.#keep(0);
    } catch (error) {
      this.#deps.log.event('pausing_failed', { error });
    }
  }

  /**
   * The collection, which is in use from now on and wakes if it was idle. Throws `collection_not_found` and
   * `paused`.
   */
  use(owner: Owner, name: string): CollectionRecord {
    const record = this.#deps.catalog.find(owner, name);
    const use = this.#useOf(record);
    if (use.pause !== null) this.#enter(record, use);
    use.usedAt = this.#deps.clock.now();
    return record;
  }

  /** Whether its data is on the cold disks, or is to be. */
  isAside(record: CollectionRecord): boolean {
    if (record.filling.length > 0) return false;
    const isPaused = this.#useOf(record).pause !== null;
    return isPaused || this.#deps.isClientPaused(record.clientId);
  }

  /** Files of a shard are not what was written; operators hear of it once a day while they are cold. */
  damaged(record: CollectionRecord, shardId: ShardId, workerId: WorkerId): void {
    if (!this.isAside(record)) return;
    const { tell, clock } = this.#deps;
    const key = `${shardId}/${workerId}/${Math.floor(clock.now() / DAY_MS)}`;
    const data = { shard_id: shardId, worker_id: workerId };
    tell({ type: 'cold.damaged', clientId: record.clientId, key, data });
  }

  /** Every collection of a client with its use, by id. */
  ofClient(clientId: ClientId): PausedCollection[] {
    return [...this.#deps.catalog.all()]
      .filter((record) => record.clientId === clientId)
      .map((record) => ({ record, use: { ...this.#useOf(record) } }))
      .sort((a, b) => (a.record.collectionId < b.record.collectionId ? -1 : 1));
  }

  /** Until an operator wakes it; one that is paused already is so for this reason from now on. */
  pause(record: CollectionRecord, reason: string, origin: Origin): Readonly<CollectionUse> {
    const use = this.#change(record, { pause: 'manual', reason }, origin);
    this.soon();
    return use;
  }

  /** No change when it is not paused. */
  wake(record: CollectionRecord, origin: Origin): Readonly<CollectionUse> {
    if (this.#useOf(record).pause === null) return this.#useOf(record);
    return this.#change(record, { pause: null, reason: null }, origin);
  }

  /** Looks now instead of later; resolves when what is to be frozen is, as far as it can be. */
  look(): Promise<void> {
    this.#cancel?.();
    this.#looking ??= this.#tryLook().then((isWhole) => {
      this.#looking = undefined;
      if (this.#closed) return;
      this.#againMs = isWhole ? AGAIN_MS : Math.min(LOOK_MS, 2 * this.#againMs);
      this.#lookIn(isWhole ? LOOK_MS : this.#againMs);
    });
    return this.#looking;
  }

  /** Something may be to be frozen; also when a look is under way, which may have passed it. */
  soon(): void {
    this.#againMs = AGAIN_MS;
    void (this.#looking ?? Promise.resolve()).then(() => {
      if (!this.#closed) void this.look();
    });
  }

  #lookIn(ms: number): void {
    this.#cancel = this.#deps.clock.after(ms, () => void this.look());
  }

  /** False when it has to be looked again soon. */
  async #tryLook(): Promise<boolean> {
    try {
      return await this.#look();
    } catch (error) {
      this.#deps.log.event('pausing_failed', { error });
      return true;
    }
  }

  async #look(): Promise<boolean> {
    const { catalog, clock } = this.#deps;
    const now = clock.now();
    const records = [...catalog.all()];
    this.#forgetGone(records);
    let turns = 0;
    for (const record of records) {
      if (turns < TURNS_MAX && this.#considerPausing(record, now)) turns += 1;
    }
    this.#keep(KEPT_MS);
    const isFrozen = await this.#freezer.freeze(records.filter((record) => this.isAside(record)));
    if (turns < TURNS_MAX) return isFrozen;
    this.#againMs = AGAIN_MS;
    return false;
  }

  /** Whether something was to do for it. */
  #considerPausing(record: CollectionRecord, now: number): boolean {
    const use = this.#useOf(record);
    if (use.pause !== null || record.filling.length > 0) return false;
    const idleMs = this.#deps.idleDaysOf(record.clientId) * DAY_MS;
    if (idleMs === 0) return false;
    const { namespace, name: collection, collectionId, clientId } = record;
    if (now - use.usedAt >= idleMs) {
      this.#change(record, { pause: 'idle', reason: null }, this.#system());
      return true;
    }
    const pausesAt = use.usedAt + idleMs;
    if (now < pausesAt - Math.min(WARNING_MS, idleMs / 4)) return false;
    const data = { namespace, collection, pauses_at: new Date(pausesAt).toISOString() };
    // Another day of use is another warning.
    const key = `${collectionId}/${Math.floor(use.usedAt / DAY_MS)}`;
    if (this.#warned.get(collectionId) === key) return false;
    this.#deps.tell({ type: 'pause.warning', clientId, key, data });
    this.#warned.set(collectionId, key);
    return true;
  }

  #tellPaused(
    { clientId, namespace, name: collection, collectionId }: CollectionRecord,
    use: CollectionUse,
  ): void {
    const data = { namespace, collection, reason: use.pause };
    const key = `${collectionId}/${use.pausedAt}`;
    this.#deps.tell({ type: 'collection.paused', clientId, key, data });
  }

  /** A disk that is full does not keep a client from its data: what the store says is put right later. */
  #enter(record: CollectionRecord, use: CollectionUse): void {
    if (use.pause === 'manual') {
      const text = `the collection is paused by the operator: ${use.reason}; its data is kept`;
      throw new AppError('paused', text);
    }
    try {
      this.#change(record, { pause: null, reason: null }, this.#system());
    } catch (error) {
      this.#deps.log.event('pausing_failed', { error });
      Object.assign(use, { pause: null, reason: null, pausedAt: null });
      this.#kept.delete(record.collectionId);
    }
    this.#freezer.woke(record.collectionId);
  }

  #change(
    record: CollectionRecord,
    { pause, reason }: Pick<CollectionUse, 'pause' | 'reason'>,
    origin: Origin,
  ): CollectionUse {
    const { store, clock, log } = this.#deps;
    const { collectionId } = record;
    const use = this.#useOf(record);
    const pausedAt = pause === null ? null : clock.now();
    const after = { ...use, pause, reason, pausedAt };
    store.audited(origin, () => {
      store.collectionUses.put(after);
      if (pause !== null) this.#tellPaused(record, after);
      const action = pause === null ? 'collection.wake' : 'collection.pause';
      const shown = { before: shownOf(record, use), after: shownOf(record, after) };
      return { action, target: collectionId, ...shown, result: undefined };
    });
    this.#kept.set(collectionId, after.usedAt);
    this.#freezer.woke(collectionId);
    log.event('collection_pause', { collectionId, pause: pause ?? 'none' });
    return Object.assign(use, after);
  }

  #useOf({ collectionId }: CollectionRecord): CollectionUse {
    let use = this.#uses.get(collectionId);
    if (use === undefined) {
      const usedAt = this.#deps.clock.now();
      use = { collectionId, usedAt, pause: null, reason: null, pausedAt: null };
      this.#uses.set(collectionId, use);
    }
    return use;
  }

  #forgetGone(records: readonly CollectionRecord[]): void {
    const there = new Set(records.map(({ collectionId }) => collectionId));
    for (const collectionId of this.#uses.keys()) {
      if (there.has(collectionId)) continue;
      this.#uses.delete(collectionId);
      this.#kept.delete(collectionId);
      this.#warned.delete(collectionId);
      this.#freezer.woke(collectionId);
    }
  }

  /** Writes down uses that are so much later than what the store says. */
  #keep(laterMs: number): void {
    const { store } = this.#deps;
    const due = [...this.#uses.values()].filter(({ collectionId, usedAt }) => {
      const kept = this.#kept.get(collectionId);
      return kept === undefined || usedAt - kept > laterMs;
    });
    if (due.length === 0) return;
    store.transaction(() => {
      for (const use of due) store.collectionUses.put(use);
    });
    for (const { collectionId, usedAt } of due) this.#kept.set(collectionId, usedAt);
  }

  #system(): Origin {
    const requestId = randomId<RequestId>('req_', this.#deps.random.bytes);
    return { actor: 'system', requestId };
  }
}

function shownOf(
  { clientId, mode, namespace, name }: CollectionRecord,
  { pause, reason }: CollectionUse,
): object {
  return { client_id: clientId, mode, namespace, collection: name, pause, reason };
}
