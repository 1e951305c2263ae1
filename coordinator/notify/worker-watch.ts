/**
 * Tells operators of workers that are gone for longer than a restart takes, and of their return:
 *
 *   connected --> lost: `last_seen_at` stands still --- gone for a minute: worker.down, once
 *       ^                                                      |
 *       +------------- connected again: worker.up, once -------+
 *
 * The key of both is worker and time of the loss, as `control.db` has it. So a coordinator that was started
 * in between tells neither a second time, and tells of the return what another one has told of the loss.
 */
import type { Clock } from '../../shared/base/clock.ts';
import type { WorkerId } from '../../shared/base/ids.ts';
import type { Log } from '../../shared/log/log.ts';
import type { ControlStore } from '../store/control-store.ts';
import type { Notifier } from './notifier.ts';

/** A worker as the cluster sees it. */
export interface WatchedWorker {
  workerId: WorkerId;
  connected: boolean;
  /** Replicas on it. */
  shards: number;
}

export interface WorkerWatchDeps {
  store: Pick<ControlStore, 'workers' | 'notices'>;
  live: () => readonly WatchedWorker[];
  notifier: Pick<Notifier, 'tell'>;
  clock: Clock;
  log: Log;
}

/** A worker that is started again is there in some seconds, with many shards in some more. */
export const DOWN_AFTER_MS = 60_000;
const LOOK_MS = 5_000;

export class WorkerWatch {
  readonly #deps: WorkerWatchDeps;
  /** In monotonic time: who was not there at its start has as long as who is lost later. */
  #goneSinceMs = new Map<WorkerId, number>();
  /** Keys of losses that were told, of workers that are gone. */
  readonly #told = new Map<WorkerId, string>();
  #cancel: (() => void) | undefined;
  #closed = false;

  constructor(deps: WorkerWatchDeps) {
    this.#deps = deps;
  }

  start(): void {
    const { store } = this.#deps;
    for (const { workerId } of store.workers.all()) {
      const key = store.notices.lastKey('worker.down', `${workerId}:`);
      if (key !== undefined && !store.notices.has('worker.up', key)) this.#told.set(workerId, key);
    }
    this.#look();
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }

  #look(): void {
    if (this.#closed) return;
    try {
      for (const worker of this.#deps.live()) this.#judge(worker);
    } catch (error) {
      this.#deps.log.event('unexpected_error', { place: 'worker watch', error });
    }
    this.#cancel = this.#deps.clock.after(LOOK_MS, () => this.#look());
  }

  #judge({ workerId, connected, shards }: WatchedWorker): void {
    const nowMs = this.#deps.clock.monotonicMs();
    if (connected) {
      this.#goneSinceMs.delete(workerId);
      this.#tellUp(workerId);
      return;
    }
    const since = this.#goneSinceMs.get(workerId);
    if (since === undefined) this.#goneSinceMs.set(workerId, nowMs);
    else if (nowMs - since >= DOWN_AFTER_MS) this.#tellDown(workerId, shards);
  }

  #tellDown(workerId: WorkerId, shards: number): void {
    const { store, notifier } = this.#deps;
    if (this.#told.has(workerId)) return;
    const worker = store.workers.get(workerId);
    // One that was drained of all that it held was taken away on purpose.
    if (worker === undefined || (worker.draining && shards === 0)) return;
    const key = `${workerId}:${worker.lastSeenAt}`;
    notifier.tell({
      type: 'worker.down',
      clientId: null,
      key,
      data: { worker_id: workerId, shards },
    });
    this.#told.set(workerId, key);
  }

  #tellUp(workerId: WorkerId): void {
    const { notifier, clock } = this.#deps;
    const key = this.#told.get(workerId);
    if (key === undefined) return;
    const lostAt = Number(key.slice(key.indexOf(':') + 1));
    const seconds = Math.max(0, Math.round((clock.now() - lostAt) / 1_000));
    notifier.tell({
      type: 'worker.up',
      clientId: null,
      key,
      data: { worker_id: workerId, down_seconds: seconds },
    });
    this.#told.delete(workerId);
  }
}
