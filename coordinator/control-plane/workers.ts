/**
 * Workers as operators see them: every one that ever proved itself, with what it does now and the
 * terms that operators set. Who is in charge of a worker's data follows from its terms: each change
 * is told to whoever routes to it and moves shards (`cluster/placing/moves.ts`) as soon as it is durable.
 */
import type { Clock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import { type ClientId, isUuid, type ShardId, type WorkerId } from '../../shared/base/ids.ts';
import { InvalidInput } from '../../shared/base/invalid.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Log } from '../../shared/log/log.ts';
import type { ClusterCounts } from '../cluster/cluster.ts';
import type { Moves } from '../cluster/placing/moves.ts';
import type { WorkerHealth } from '../cluster/workers/worker-health.ts';
import type { LiveWorker } from '../cluster/workers/workforce.ts';
import type { Origin } from '../store/admin-audit.ts';
import type { ControlStore } from '../store/control-store.ts';
import type { WorkerRecord, WorkerTerms } from '../store/workers.ts';
import { checkVersion, type Expected } from './version.ts';

const RELEASE_TIMEOUT_MS = 10_000;

/** `lastSeenAt` of one that is connected is now. */
export interface WorkerView extends WorkerRecord, LiveWorker {
  /** Replicas that should not be on it and that no other worker may take at this moment. */
  stranded: number;
}

export interface SystemStatus {
  clients: number;
  collections: number;
  /** Those of them that are being divided into another number of shards. */
  resharding: number;
  shards: number;
  /** Shards without a replica in sync that can be reached. */
  shardsUnreachable: number;
  replicas: { total: number; behind: number };
  workers: { known: number; connected: number };
  inFlight: number;
  /** Milliseconds since the coordinator started. */
  uptimeMs: number;
}

/** A shard where it is. */
export interface HeldShard {
  workerId: WorkerId;
  shardId: ShardId;
}

/** Fields that are absent stay as they are. */
export interface WorkerUpdate extends Expected {
  zone?: string | null | undefined;
  /** Id of a client; null: of all who have no workers of their own. */
  dedicatedTo?: string | null | undefined;
}

export interface WorkerAdminDeps {
  store: Pick<
    ControlStore,
    'clients' | 'collections' | 'workers' | 'audited' | 'afterCommit' | 'transaction'
  >;
  live: () => LiveWorker[];
  /** Of shards and replicas. */
  count: () => ClusterCounts;
  health: Pick<WorkerHealth, 'drain' | 'release'>;
  moves: Pick<Moves, 'soon' | 'stranded'>;
  /** Asks a worker to open a shard again; false when it has not quarantined it. */
  release: (shard: HeldShard, deadline: Deadline) => Promise<boolean>;
  clock: Clock;
  log: Log;
}

const ZONE = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

export class WorkerAdmin {
  readonly #deps: WorkerAdminDeps;
  readonly #startedMs: number;

  constructor(deps: WorkerAdminDeps) {
    this.#deps = deps;
    this.#startedMs = deps.clock.monotonicMs();
  }

  /** By id. */
  list(): WorkerView[] {
    const { store, live, moves, clock } = this.#deps;
    const byId = new Map(live().map((worker) => [worker.workerId, worker]));
    const stranded = moves.stranded();
    return store.workers.all().map((record) => {
      const { workerId, lastSeenAt } = record;
      const now = byId.get(workerId) ?? awayOf(workerId);
      return {
        ...record,
        ...now,
        stranded: stranded.get(workerId) ?? 0,
        lastSeenAt: now.connected ? clock.now() : lastSeenAt,
      };
    });
  }

  /** Throws `not_found`. */
  show(workerId: string): WorkerView {
    const worker = this.list().find((view) => view.workerId === workerId);
    if (worker === undefined) throw new AppError('not_found', 'there is no such worker');
    return worker;
  }

  /**
   * Zone, and whose data alone it holds. What it may no longer hold moves away. Throws `not_found`,
   * `InvalidInput`, `conflict` or `precondition_failed`.
   */
  update(origin: Origin, workerId: string, update: WorkerUpdate): WorkerView {
    const { zone, dedicatedTo } = update;
    if (zone === undefined && dedicatedTo === undefined) {
      throw new InvalidInput('', 'nothing to change: give zone or dedicated_to');
    }
    const change: Partial<WorkerTerms> = {};
    if (zone !== undefined) change.zone = parseZone(zone);
    return this.#change(origin, 'worker.update', workerId, update, () => {
      if (dedicatedTo !== undefined) change.dedicatedTo = this.#clientOf(dedicatedTo);
      return change;
    });
  }

  /**
   * It gets nothing new, and what it holds moves away; until then it serves that. Repeating it
   * changes nothing. Throws `not_found` or `precondition_failed`.
   */
  drain(origin: Origin, workerId: string, expected: Expected): WorkerView {
    return this.#change(origin, 'worker.drain', workerId, expected, () => ({ draining: true }));
  }

  /** Takes a drain back. Repeating it changes nothing. Throws as `drain` does. */
  resume(origin: Origin, workerId: string, expected: Expected): WorkerView {
    return this.#change(origin, 'worker.resume', workerId, expected, () => ({ draining: false }));
  }

  /**
   * Has the worker open a shard again whose opening ended its process. The order is in the audit log
   * before the worker hears of it. Throws `not_found`, `unavailable` when the worker is away,
   * `conflict` when the shard is not quarantined there, `InvalidInput`.
   */
  async releaseShard(origin: Origin, named: { workerId: string; shardId: string }): Promise<void> {
    const { store, clock, log } = this.#deps;
    const { workerId, connected } = this.show(named.workerId);
    if (!isUuid(named.shardId)) throw new InvalidInput('shard', 'must be a UUID');
    if (!connected)
      throw new AppError('unavailable', 'the worker is away; try again when it is back');
    const action = 'worker.release_shard';
    const shardId = named.shardId as ShardId;
    const after = { shard_id: shardId };
    store.audited(origin, () => {
      return { action, target: workerId, before: null, after, result: undefined };
    });
    log.event('worker_changed', { workerId, action });
    const deadline = Deadline.after(clock, RELEASE_TIMEOUT_MS);
    if (await this.#deps.release({ workerId, shardId }, deadline)) return;
    throw new AppError('conflict', 'the worker has not quarantined this shard');
  }

  status(): SystemStatus {
    const { store, count, clock } = this.#deps;
    const workers = this.list();
    const { shards, unreachable, replicas, behind } = count();
    return {
      clients: store.clients.count(),
      collections: store.collections.count(),
      resharding: store.collections.countResharding(),
      shards,
      shardsUnreachable: unreachable,
      replicas: { total: replicas, behind },
      workers: {
        known: workers.length,
        connected: workers.filter((worker) => worker.connected).length,
      },
      inFlight: workers.reduce((total, worker) => total + worker.inFlight, 0),
      uptimeMs: Math.round(clock.monotonicMs() - this.#startedMs),
    };
  }

  #clientOf(text: string | null): ClientId | null {
    if (text === null) return null;
    const client = this.#deps.store.clients.get(text as ClientId);
    if (client === undefined) throw new InvalidInput('dedicated_to', 'is not the id of a client');
    if (client.state === 'deleting') throw new AppError('conflict', 'the client is being deleted');
    return client.clientId;
  }

  #change(
    origin: Origin,
    action: string,
    workerId: string,
    expected: Expected,
    changeOf: () => Partial<WorkerTerms>,
  ): WorkerView {
    const { store, health, moves, log } = this.#deps;
    store.transaction(() => {
      const before = store.workers.get(workerId);
      if (before === undefined) throw new AppError('not_found', 'there is no such worker');
      checkVersion(before, expected);
      const after = { ...before, ...changeOf() };
      if (isSame(before, after)) return;
      store.audited(origin, () => {
        const result = store.workers.setTerms(before.workerId, after);
        const shown = { before: termsOf(before), after: termsOf(result) };
        return { action, target: workerId, ...shown, result };
      });
      store.afterCommit(() => {
        if (after.draining) health.drain(after.workerId);
        else health.release(after.workerId);
        moves.soon();
        log.event('worker_changed', { workerId, action });
      });
    });
    return this.show(workerId);
  }
}

/** A worker that nobody has seen since the coordinator started. */
function awayOf(workerId: WorkerId): LiveWorker {
  const counts = { shards: 0, behind: 0, erasing: 0, inFlight: 0 };
  return { workerId, connected: false, state: 'down', ...counts, machine: null };
}

function parseZone(text: string | null): string | null {
  if (text === null || (ZONE.test(text) && text.length <= LIMITS.zoneCharsMax)) return text;
  const form = `1 to ${LIMITS.zoneCharsMax} letters, digits, ".", "_" and "-"`;
  throw new InvalidInput('zone', `must be ${form}, and begin with a letter or a digit`);
}

function isSame(a: WorkerTerms, b: WorkerTerms): boolean {
  return a.zone === b.zone && a.dedicatedTo === b.dedicatedTo && a.draining === b.draining;
}

/** What the audit log shows of a worker. */
export function termsOf({ zone, dedicatedTo, draining }: WorkerTerms): object {
  return { zone, dedicated_to: dedicatedTo, draining };
}
