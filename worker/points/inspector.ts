/**
 * Looks through databases that are too large to be looked through where searches run: in a thread of its
 * own, one after the other, and with rests, so that a worker with many shards does not read all of its
 * disk at once after a start. Who waits for the answer comes first, and there is no rest before it.
 *
 *   add(folder) -> [a][b][c] -- thread: a second of work -- rest: four seconds -- next
 *
 * The thread is there while there is something to do. What it finds is told; a thread that dies has
 * found nothing, and the next one takes up the line.
 */
import { Worker } from 'node:worker_threads';
import type { Clock } from '../../shared/base/clock.ts';
import { compileCacheEnvironment } from '../../shared/base/compile-cache.ts';
import { AppError } from '../../shared/errors/app-error.ts';

const ENTRY = new URL('./inspector-thread.ts', import.meta.url);
/** Rests are so many times as long as the work before them. */
const REST = 4;

/** Of one folder: what is wrong with it, or why nobody knows. */
interface Waiter {
  resolve: (problem: string | undefined) => void;
  reject: (error: Error) => void;
}

export class Inspector {
  readonly #clock: Clock;
  readonly #found: (folder: string, problem: string) => void;
  /** Folders to look through, and who waits for them. */
  readonly #urgent = new Map<string, Waiter[]>();
  readonly #line = new Set<string>();
  #thread: Worker | undefined;
  #cancelRest: (() => void) | undefined;
  #state: 'idle' | 'busy' | 'resting' | 'closed' = 'idle';

  /** `found` is told of a folder whose database is damaged. */
  constructor(deps: { clock: Clock }, found: (folder: string, problem: string) => void) {
    this.#clock = deps.clock;
    this.#found = found;
  }

  add(folder: string): void {
    this.#line.add(folder);
    if (this.#state === 'idle') this.#next();
  }

  /** What is wrong with the database; undefined when nothing is. Throws `unavailable`. */
  inspect(folder: string): Promise<string | undefined> {
    if (this.#state === 'closed') return Promise.reject(new AppError('shutting_down'));
    const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
    this.#urgent.set(folder, [...(this.#urgent.get(folder) ?? []), { resolve, reject }]);
    if (this.#state !== 'busy') this.#next();
    return promise;
  }

  /** The folder is about to go. */
  forget(folder: string): void {
    this.#line.delete(folder);
  }

  async close(): Promise<void> {
    this.#state = 'closed';
    this.#line.clear();
    const error = new AppError('shutting_down');
    for (const waiters of this.#urgent.values()) for (const { reject } of waiters) reject(error);
    this.#urgent.clear();
    this.#cancelRest?.();
    await this.#thread?.terminate();
  }

  #next(): void {
    this.#cancelRest?.();
    const [waitedFor] = this.#urgent.keys();
    const [next] = this.#line;
    const folder = waitedFor ?? next;
    if (folder === undefined) {
      this.#state = 'idle';
      void this.#thread?.terminate();
      this.#thread = undefined;
      return;
    }
    this.#state = 'busy';
    this.#line.delete(folder);
    const waiters = this.#urgent.get(folder) ?? [];
    this.#urgent.delete(folder);
    this.#look(folder, waiters);
  }

  #look(folder: string, waiters: readonly Waiter[]): void {
    const thread = this.#started();
    const startMs = this.#clock.monotonicMs();
    const answered = (problem: string | undefined) => {
      thread.off('exit', ended);
      if (problem !== undefined) this.#found(folder, problem);
      for (const { resolve } of waiters) resolve(problem);
      this.#rest(this.#clock.monotonicMs() - startMs);
    };
    const ended = () => {
      thread.off('message', answered);
      this.#thread = undefined;
      const error = new AppError('unavailable', undefined, { detail: 'the inspection has ended' });
      for (const { reject } of waiters) reject(error);
      this.#rest(this.#clock.monotonicMs() - startMs);
    };
    thread.once('message', answered);
    thread.once('exit', ended);
    thread.postMessage(folder);
  }

  #started(): Worker {
    if (this.#thread === undefined) {
      this.#thread = new Worker(ENTRY, { env: compileCacheEnvironment(), execArgv: [] });
      // What it dies of is no more than a database that was not looked through: `exit` follows.
      this.#thread.on('error', () => undefined);
    }
    return this.#thread;
  }

  #rest(workMs: number): void {
    if (this.#state === 'closed') return;
    if (this.#urgent.size > 0) {
      this.#next();
      return;
    }
    this.#state = 'resting';
    this.#cancelRest = this.#clock.after(REST * workMs, () => this.#next());
  }
}
