/**
 * The thread that links graphs, one for all shards of a worker; who is next is the caller's to say.
 *
 *   none --run--> [queue of the port] ==thread==> kernel on the same memory --> milliseconds
 *    ^                                               |
 *    +---- no job for a while, a failure, close -----+
 *
 * It is started when there is work and ended when there has been none for a while: the memory of a
 * shard that was closed lives as long as a garbage collector has not looked, and in an idle thread
 * none ever looks. A job that traps, or a thread that dies in one, leaves a graph half changed: those
 * who wait are told, and the next job has another thread.
 */
import { Worker } from 'node:worker_threads';
import { must } from '../../../shared/base/assert.ts';
import type { Clock } from '../../../shared/base/clock.ts';
import { compileCacheEnvironment } from '../../../shared/base/compile-cache.ts';
import type { GraphBuilder } from '../vector-index.ts';
import type { BuildReply, BuildRequest } from './builder-thread.ts';
import type { LinkJob } from './job.ts';
import { moduleFor, type WasmMemory } from './module.ts';

const ENTRY = new URL('./builder-thread.ts', import.meta.url);
const IDLE_MS = 5_000;

interface Waiting {
  resolve: (ms: number) => void;
  reject: (error: Error) => void;
}

export class BuilderThread implements GraphBuilder {
  readonly #clock: Clock;
  readonly #idleMs: number;
  #thread: RunningThread | undefined;
  #cancelIdle: (() => void) | undefined;
  #closed = false;

  constructor(deps: { clock: Clock }, { idleMs = IDLE_MS } = {}) {
    this.#clock = deps.clock;
    this.#idleMs = idleMs;
  }

  /** Whether there is a thread now. */
  get running(): boolean {
    return this.#thread !== undefined;
  }

  async run(memory: WasmMemory, job: LinkJob): Promise<number> {
    if (this.#closed) throw new Error('the builder is closed');
    this.#cancelIdle?.();
    const thread = this.#thread ?? new RunningThread();
    this.#thread = thread;
    try {
      return await thread.run(memory, job);
    } finally {
      if (thread.ended && this.#thread === thread) this.#thread = undefined;
      if (!thread.busy) this.#cancelIdle = this.#clock.after(this.#idleMs, () => this.#rest());
    }
  }

  /** Ends the thread, in the middle of a job if there is one. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancelIdle?.();
    await this.#thread?.end();
  }

  #rest(): void {
    if (this.#thread?.busy !== false) return;
    void this.#thread.end();
    this.#thread = undefined;
  }
}

/** One thread, from its start to its end. */
class RunningThread {
  readonly #thread: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #seq = 0;
  #ended = false;

  constructor() {
    // Neither the rest of the process's environment nor its flags concern the thread.
    this.#thread = new Worker(ENTRY, { env: compileCacheEnvironment(), execArgv: [] });
    let failure: Error | undefined;
    this.#thread.on('message', (reply: BuildReply) => this.#settle(reply));
    this.#thread.on('error', (error) => {
      failure = error instanceof Error ? error : new Error(String(error));
    });
    this.#thread.on('exit', (code) => {
      this.#ended = true;
      const reason = failure ?? new Error(`the building thread exited with code ${code}`);
      for (const { reject } of this.#waiting.values()) reject(reason);
      this.#waiting.clear();
    });
  }

  get busy(): boolean {
    return this.#waiting.size > 0;
  }

  get ended(): boolean {
    return this.#ended;
  }

  run(memory: WasmMemory, job: LinkJob): Promise<number> {
    this.#seq += 1;
    const request: BuildRequest = { seq: this.#seq, module: moduleFor(memory), memory, job };
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#waiting.set(request.seq, { resolve, reject });
    // A process waits for its jobs, not for a thread without any.
    this.#thread.ref();
    this.#thread.postMessage(request);
    return promise;
  }

  async end(): Promise<void> {
    await this.#thread.terminate();
  }

  #settle(reply: BuildReply): void {
    const waiting = must(this.#waiting.get(reply.seq), 'a reply answers a request');
    this.#waiting.delete(reply.seq);
    if (!this.busy) this.#thread.unref();
    if ('ms' in reply) waiting.resolve(reply.ms);
    else waiting.reject(new Error(reply.error));
  }
}
