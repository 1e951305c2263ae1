/**
 * What is thought of each worker:
 *
 *            connected              a sign of life
 *   down ----------------> joining ----------------> healthy <------------------------+
 *    ^                        |                      |     |                          |
 *    |                        |      silent, or slow |     | drain()        good again|
 *    |                        |                      v     v                          |
 *    +------ disconnected ----+---------------- suspect   draining -- release() ------+
 *
 * Silent is who has left two heartbeats in a row without an answer, slow who lost `SLOW_MAX` races in
 * a row: a read that took long was asked of another replica, too, and that one answered first.
 * Suspects and workers that are joining get no queries while another replica can serve; writes go to
 * all replicas in sync whatever is thought of their workers. One that is draining serves what it
 * holds until that has moved away, and gets nothing new; while it is silent or slow, it is shown as
 * draining all the same, and gets queries last.
 */
import type { Clock } from '../../../shared/base/clock.ts';
import type { WorkerId } from '../../../shared/base/ids.ts';
import type { Log } from '../../../shared/log/log.ts';

export const HEALTH_STATES = ['joining', 'healthy', 'suspect', 'down', 'draining'] as const;
export type HealthState = (typeof HEALTH_STATES)[number];

export interface HealthTiming {
  /** How often it is looked who is silent; as often as a heartbeat is sent. */
  lookMs: number;
  /** A suspect that was slow is given reads again after this time, to show whether it still is. */
  probationMs: number;
}

export const HEALTH_TIMING: HealthTiming = { lookMs: 250, probationMs: 2_000 };

/** Lost races in a row, so that one pause of a garbage collector does not make a suspect. */
const SLOW_MAX = 3;

export interface WorkerHealthDeps {
  clock: Clock;
  log: Log;
  /** Whether heartbeats of this connected worker have gone unanswered. */
  isSilent: (workerId: WorkerId) => boolean;
  /** Whether this worker has given a sign of life since it connected. */
  hasAnswered: (workerId: WorkerId) => boolean;
  timing: HealthTiming;
}

interface Judged {
  state: HealthState;
  draining: boolean;
  lostRaces: number;
  /** In monotonic time; it is slow until then. */
  slowUntilMs: number;
}

export class WorkerHealth {
  readonly #deps: WorkerHealthDeps;
  readonly #workers = new Map<WorkerId, Judged>();
  #cancel: (() => void) | undefined;

  constructor(deps: WorkerHealthDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#look();
  }

  close(): void {
    this.#cancel?.();
  }

  stateOf(workerId: WorkerId): HealthState {
    return this.#workers.get(workerId)?.state ?? 'down';
  }

  /** Whether queries go to others first. */
  isDoubtful(workerId: WorkerId): boolean {
    const worker = this.#workers.get(workerId);
    if (worker === undefined) return true;
    const { state } = worker;
    if (state !== 'draining') return state !== 'healthy';
    return this.#isSuspicious(workerId, worker) || !this.#deps.hasAnswered(workerId);
  }

  connected(workerId: WorkerId): void {
    const worker = this.#of(workerId);
    worker.lostRaces = 0;
    worker.slowUntilMs = 0;
    this.#become(workerId, worker, worker.draining ? 'draining' : 'joining');
  }

  disconnected(workerId: WorkerId): void {
    this.#become(workerId, this.#of(workerId), 'down');
  }

  /** It has answered. */
  answered(workerId: WorkerId): void {
    const worker = this.#of(workerId);
    worker.lostRaces = 0;
    if (worker.state === 'joining') this.#become(workerId, worker, 'healthy');
  }

  /** Another replica, asked later, has answered earlier. */
  lostRace(workerId: WorkerId): void {
    const worker = this.#of(workerId);
    worker.lostRaces += 1;
    if (worker.lostRaces < SLOW_MAX) return;
    worker.lostRaces = 0;
    worker.slowUntilMs = this.#deps.clock.monotonicMs() + this.#deps.timing.probationMs;
    this.#judge(workerId, worker);
  }

  /** It is to get nothing new, and to give away what it has. */
  drain(workerId: WorkerId): void {
    const worker = this.#of(workerId);
    worker.draining = true;
    if (worker.state !== 'down') this.#become(workerId, worker, 'draining');
  }

  release(workerId: WorkerId): void {
    const worker = this.#of(workerId);
    worker.draining = false;
    if (worker.state === 'draining') this.#become(workerId, worker, this.#seen(workerId, worker));
  }

  readonly #look = (): void => {
    for (const [workerId, worker] of this.#workers) this.#judge(workerId, worker);
    this.#cancel = this.#deps.clock.after(this.#deps.timing.lookMs, this.#look);
  };

  #judge(workerId: WorkerId, worker: Judged): void {
    if (worker.state === 'down' || worker.state === 'draining') return;
    this.#become(workerId, worker, this.#seen(workerId, worker));
  }

  /** What a worker is that is connected and not draining. */
  #seen(workerId: WorkerId, worker: Judged): HealthState {
    if (this.#isSuspicious(workerId, worker)) return 'suspect';
    return this.#deps.hasAnswered(workerId) ? 'healthy' : 'joining';
  }

  #isSuspicious(workerId: WorkerId, { slowUntilMs }: Judged): boolean {
    const { clock, isSilent } = this.#deps;
    return isSilent(workerId) || clock.monotonicMs() < slowUntilMs;
  }

  #become(workerId: WorkerId, worker: Judged, state: HealthState): void {
    if (worker.state === state) return;
    const before = worker.state;
    worker.state = state;
    this.#deps.log.event('worker_health', { workerId, before, state });
  }

  #of(workerId: WorkerId): Judged {
    let worker = this.#workers.get(workerId);
    if (worker === undefined) {
      worker = { state: 'down', draining: false, lostRaces: 0, slowUntilMs: 0 };
      this.#workers.set(workerId, worker);
    }
    return worker;
  }
}
