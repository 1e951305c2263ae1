/**
 * The calling side of one writer thread: sends requests, pairs the replies, and minds the thread.
 *
 *   stopped --request/start--> starting --ready--> ready --close--> closing --exit--> stopped
 *      ^                          |                  |
 *      +---- died before ready ---+                  +-- died: started again at once --> starting
 *
 * When a thread dies, nobody knows which of its requests were committed: all are rejected with
 * `write_outcome_unknown`. One that dies before it is ready is started again by the next request
 * only, so that a thread that can not start does not spin.
 */
import { Worker } from 'node:worker_threads';
import { must } from '../../shared/base/assert.ts';
import type { Clock } from '../../shared/base/clock.ts';
import { compileCacheEnvironment } from '../../shared/base/compile-cache.ts';
import type { Deadline } from '../../shared/base/deadline.ts';
import { PendingCalls } from '../../shared/base/pending-calls.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Log } from '../../shared/log/log.ts';
import { unpackOutcome, type WriteOutcome } from './write-op.ts';
import {
  fromPlainError,
  type WriterLoopOptions,
  type WriterMessage,
  type WriterReply,
  type WriterRequest,
} from './writer-loop.ts';

const ENTRY = new URL('./writer-thread.ts', import.meta.url);

type WithoutSeq<T> = T extends unknown ? Omit<T, 'seq'> : never;
export type RequestBody = WithoutSeq<WriterRequest>;

interface Pending {
  resolve: (outcome: WriteOutcome | undefined) => void;
  reject: (error: Error) => void;
}

export interface WriterLinkDeps {
  log: Log;
  clock: Clock;
}

export interface WriterLinkOptions {
  /** Which of the threads this is, for the log. */
  writer: number;
  loop: WriterLoopOptions;
  /** The thread's program; another one in tests. */
  entry?: URL;
}

export class WriterLink {
  readonly #deps: WriterLinkDeps;
  readonly #options: WriterLinkOptions;
  readonly #pending = new PendingCalls<Pending>();
  #state: 'stopped' | 'starting' | 'ready' | 'closing' = 'stopped';
  #thread: Worker | undefined;
  #exited = Promise.resolve();
  #ready = Promise.withResolvers<void>();

  constructor(deps: WriterLinkDeps, options: WriterLinkOptions) {
    this.#deps = deps;
    this.#options = options;
  }

  /** Resolves when the thread runs; rejects when it can not start. */
  start(): Promise<void> {
    if (this.#state === 'stopped') this.#spawn();
    return this.#ready.promise;
  }

  /** Resolves to the outcome of a write, or to nothing for other requests. */
  request(body: RequestBody, transfer: ArrayBuffer[]): Promise<WriteOutcome | undefined> {
    if (this.#state === 'closing') return Promise.reject(new AppError('shutting_down'));
    if (this.#state === 'stopped') this.#spawn();
    const { promise, resolve, reject } = Promise.withResolvers<WriteOutcome | undefined>();
    const seq = this.#pending.add({ resolve, reject });
    this.#worker().postMessage({ ...body, seq }, transfer);
    return promise;
  }

  /** Lets the thread finish what was sent to it; ends it when the deadline passes. */
  async close(deadline: Deadline): Promise<void> {
    if (this.#state === 'stopped') return;
    this.#state = 'closing';
    const thread = this.#worker();
    thread.postMessage({ kind: 'close' });
    const cancel = this.#deps.clock.after(deadline.remainingMs(), () => {
      thread.terminate().catch((error: unknown) => this.#logFailure(error));
    });
    await this.#exited;
    cancel();
  }

  #worker(): Worker {
    return must(this.#thread, 'a link that is not stopped has a thread');
  }

  #spawn(): void {
    this.#state = 'starting';
    this.#ready = Promise.withResolvers<void>();
    // Nobody may be waiting for it; `#ended` logs the failure in any case.
    this.#ready.promise.catch(() => undefined);
    const exited = Promise.withResolvers<void>();
    this.#exited = exited.promise;
    // Neither the rest of the process's environment nor its flags concern the thread.
    const { entry = ENTRY, loop } = this.#options;
    const thread = new Worker(entry, {
      workerData: loop,
      env: compileCacheEnvironment(),
      execArgv: [],
    });
    this.#thread = thread;
    let failure: unknown;
    thread.on('message', (message: WriterMessage) => this.#receive(message));
    thread.on('messageerror', (error) => this.#logFailure(error));
    thread.on('error', (error) => {
      failure = error;
    });
    thread.on('exit', (code) => {
      this.#ended(failure ?? new Error(`the writer thread exited with code ${code}`));
      exited.resolve();
    });
  }

  #receive(message: WriterMessage): void {
    switch (message.kind) {
      case 'ready':
        if (this.#state === 'starting') this.#state = 'ready';
        this.#ready.resolve();
        break;
      case 'replies':
        for (const reply of message.replies) this.#settle(reply);
        break;
      case 'disk-full':
        this.#deps.log.event('disk_full', {
          place: message.folder,
          reserveBytes: this.#options.loop.diskReserveBytes,
        });
        break;
      case 'disk-failed': {
        const { folder, error } = message;
        this.#deps.log.event('disk_failed', { place: folder, error: fromPlainError(error) });
        break;
      }
    }
  }

  #settle(reply: WriterReply): void {
    const pending = must(this.#pending.take(reply.seq), 'a reply answers a request');
    if ('error' in reply) pending.reject(fromPlainError(reply.error));
    else pending.resolve('outcome' in reply ? unpackOutcome(reply.outcome) : undefined);
  }

  #ended(failure: unknown): void {
    const before = this.#state;
    this.#state = 'stopped';
    this.#thread = undefined;
    this.#ready.reject(failure);
    if (before !== 'closing' || this.#pending.size > 0) this.#logFailure(failure);
    for (const pending of this.#pending.takeWhere(() => true)) {
      pending.reject(new AppError('write_outcome_unknown', undefined, { cause: failure }));
    }
    if (before === 'ready') this.#spawn();
  }

  #logFailure(error: unknown): void {
    const pending = this.#pending.size;
    this.#deps.log.event('writer_failed', { writer: this.#options.writer, pending, error });
  }
}
