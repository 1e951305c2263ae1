/** All workers with what placement has to know of them. */
import type { WorkerId } from '../../../shared/base/ids.ts';
import type { ReplicasTable } from '../../store/replicas.ts';
import type { WorkersTable } from '../../store/workers.ts';
import type { WorkerLink } from '../../worker-link/worker-link.ts';
import type { Cluster } from '../cluster.ts';
import type { PlannedWorker } from '../placing/outlook.ts';
import type { Load } from '../placing/placement.ts';
import type { HealthState, WorkerHealth } from './worker-health.ts';
import type { WorkerLoad } from './worker-loads.ts';

/** One worker as it is now. */
export interface LiveWorker {
  workerId: WorkerId;
  connected: boolean;
  state: HealthState;
  /** Replicas placed on it, and those of them that are behind. */
  shards: number;
  behind: number;
  /** Shards whose files it has still to erase. */
  erasing: number;
  /** Requests waiting for it or sent to it. */
  inFlight: number;
  /** What it takes of its machine, as it last said; null when it has not, or is away. */
  machine: WorkerLoad | null;
}

export interface WorkforceDeps {
  store: {
    workers: Pick<WorkersTable, 'all'>;
    replicas: Pick<ReplicasTable, 'countByWorker' | 'erasuresByWorker'>;
  };
  link: Pick<WorkerLink, 'isReady' | 'inFlight'>;
  cluster: Pick<Cluster, 'heldByWorker' | 'lagging'>;
  health: Pick<WorkerHealth, 'stateOf'>;
  /** What a worker takes of its machine, as it last said. */
  loadOf: (workerId: WorkerId) => WorkerLoad | undefined;
}

export class Workforce {
  readonly #deps: WorkforceDeps;

  constructor(deps: WorkforceDeps) {
    this.#deps = deps;
  }

  /** Every worker that ever proved itself. */
  all(): PlannedWorker[] {
    const { store, link, cluster, loadOf } = this.#deps;
    const counts = store.replicas.countByWorker();
    const held = cluster.heldByWorker();
    return store.workers.all().map(({ workerId, zone, dedicatedTo, draining }) => {
      const { points = 0, bytes = 0 } = held.get(workerId) ?? {};
      const load: Load = {
        replicas: counts.get(workerId) ?? 0,
        points,
        bytes,
        cpu: loadOf(workerId)?.cpu ?? 0,
      };
      const usable = link.isReady(workerId) && !draining;
      return { workerId, zone, dedicatedTo, draining, usable, load };
    });
  }

  /** Every worker that ever proved itself, as it is now. */
  live(): LiveWorker[] {
    const { store, link, cluster, health, loadOf } = this.#deps;
    const erasing = store.replicas.erasuresByWorker();
    const behind = new Map<WorkerId, number>();
    for (const { workerId } of cluster.lagging()) {
      behind.set(workerId, (behind.get(workerId) ?? 0) + 1);
    }
    return this.all().map(({ workerId, load }) => ({
      workerId,
      connected: link.isReady(workerId),
      state: health.stateOf(workerId),
      shards: load.replicas,
      behind: behind.get(workerId) ?? 0,
      erasing: erasing.get(workerId) ?? 0,
      inFlight: link.inFlight(workerId),
      machine: loadOf(workerId) ?? null,
    }));
  }
}
