/** Workers as operators see them: every one that ever proved itself, with what it does now. */
import type { Clock } from '../../shared/base/clock.ts';
import type { WorkerId } from '../../shared/base/ids.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { ControlStore } from '../store/control-store.ts';

/** One worker as routing sees it. */
export interface LiveWorker {
  workerId: WorkerId;
  connected: boolean;
  shards: number;
  inFlight: number;
}

export interface WorkerView extends LiveWorker {
  /** Milliseconds since 1970; null when it has not been recorded yet. */
  firstSeenAt: number | null;
  lastSeenAt: number | null;
}

export interface SystemStatus {
  clients: number;
  collections: number;
  shards: number;
  workers: { known: number; connected: number };
  inFlight: number;
  /** Milliseconds since the coordinator started. */
  uptimeMs: number;
}

interface WorkerAdminDeps {
  store: Pick<ControlStore, 'clients' | 'collections' | 'workers'>;
  /** Supplied by routing. */
  live: () => LiveWorker[];
  clock: Pick<Clock, 'now' | 'monotonicMs'>;
}

export class WorkerAdmin {
  readonly #deps: WorkerAdminDeps;
  readonly #startedMs: number;

  constructor(deps: WorkerAdminDeps) {
    this.#deps = deps;
    this.#startedMs = deps.clock.monotonicMs();
  }

  list(): WorkerView[] {
    const views = new Map<WorkerId, WorkerView>();
    for (const { workerId, firstSeenAt, lastSeenAt } of this.#deps.store.workers.all()) {
      const idle = { connected: false, shards: 0, inFlight: 0 };
      views.set(workerId, { workerId, ...idle, firstSeenAt, lastSeenAt });
    }
    for (const live of this.#deps.live()) {
      const seen = views.get(live.workerId) ?? { firstSeenAt: null, lastSeenAt: null };
      const { firstSeenAt } = seen;
      const lastSeenAt = live.connected ? this.#deps.clock.now() : seen.lastSeenAt;
      views.set(live.workerId, { ...live, firstSeenAt, lastSeenAt });
    }
    return [...views.values()].toSorted((a, b) => (a.workerId < b.workerId ? -1 : 1));
  }

  /** Throws `not_found`. */
  show(workerId: string): WorkerView {
    const worker = this.list().find((view) => view.workerId === workerId);
    if (worker === undefined) throw new AppError('not_found', 'there is no such worker');
    return worker;
  }

  status(): SystemStatus {
    const { store, clock } = this.#deps;
    const workers = this.list();
    return {
      clients: store.clients.count(),
      collections: store.collections.count(),
      shards: workers.reduce((total, worker) => total + worker.shards, 0),
      workers: {
        known: workers.length,
        connected: workers.filter((worker) => worker.connected).length,
      },
      inFlight: workers.reduce((total, worker) => total + worker.inFlight, 0),
      uptimeMs: Math.round(clock.monotonicMs() - this.#startedMs),
    };
  }
}
