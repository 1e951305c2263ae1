/**
 * What each connected worker takes of its machine, asked every few seconds and forgotten when its
 * connection is lost. A worker that does not answer keeps what it said last: who is too busy to
 * answer must not pass for idle. Whether it is well is judged elsewhere (`worker-health.ts`).
 */
import type { Clock } from '../../../shared/base/clock.ts';
import { Deadline } from '../../../shared/base/deadline.ts';
import type { WorkerId } from '../../../shared/base/ids.ts';
import { AppError } from '../../../shared/errors/app-error.ts';
import type { Log } from '../../../shared/log/log.ts';
import type { Reply } from '../../../shared/protocol/messages.ts';
import type { WorkerLink } from '../../worker-link/worker-link.ts';

export type WorkerLoad = Reply<'worker-status'>;

export interface WorkerLoadsDeps {
  link: Pick<WorkerLink, 'askWorker' | 'connected' | 'onConnect' | 'onLoss'>;
  clock: Clock;
  log: Log;
}

const ASK_EVERY_MS = 5_000;
const ASK_TIMEOUT_MS = 2_000;

export class WorkerLoads {
  readonly #deps: WorkerLoadsDeps;
  readonly #loads = new Map<WorkerId, WorkerLoad>();
  /** One object a connection: an answer of one that is gone does not count. */
  readonly #lines = new Map<WorkerId, object>();
  #cancel: (() => void) | undefined;
  #closed = false;

  constructor(deps: WorkerLoadsDeps) {
    this.#deps = deps;
  }

  start(): void {
    const { link } = this.#deps;
    link.onConnect((workerId) => {
      this.#lines.set(workerId, {});
      void this.#ask(workerId);
    });
    link.onLoss((workerId) => {
      this.#lines.delete(workerId);
      this.#loads.delete(workerId);
    });
    this.#plan();
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }

  /** As it last said; undefined of one that is away or has not answered yet. */
  of(workerId: WorkerId): WorkerLoad | undefined {
    return this.#loads.get(workerId);
  }

  #plan(): void {
    const { clock, link } = this.#deps;
    this.#cancel = clock.after(ASK_EVERY_MS, () => {
      for (const workerId of link.connected()) void this.#ask(workerId);
      this.#plan();
    });
  }

  async #ask(workerId: WorkerId): Promise<void> {
    const { link, clock, log } = this.#deps;
    const line = this.#lines.get(workerId);
    try {
      const deadline = Deadline.after(clock, ASK_TIMEOUT_MS);
      const load = await link.askWorker(workerId, 'worker-status', {}, deadline);
      const isCurrent = line !== undefined && this.#lines.get(workerId) === line;
      if (isCurrent && !this.#closed) this.#loads.set(workerId, load);
    } catch (error) {
      // It may be busy, stopping or gone.
      if (error instanceof AppError) return;
      log.event('unexpected_error', { place: 'worker loads', error });
    }
  }
}
