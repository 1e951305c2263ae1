/**
 * The thread that links graphs, one for all shards of a worker. It is started when there is work
 * for the first time and holds no memory longer than a job; who is next is the caller's to say.
 *
 *   run(memory, job) --> [queue of the port] ==thread==> kernel on the same memory --> milliseconds
 *
 * A job that traps, or a thread that dies in one, leaves a graph half changed: those who wait are
 * told, and the thread is started again by the next job.
 */
import { Worker } from 'node:worker_threads';
import { must } from '../../../shared/base/assert.ts';
import type { GraphBuilder } from '../vector-index.ts';
import type { BuildReply, BuildRequest } from './builder-thread.ts';
import type { LinkJob } from './job.ts';
import { moduleFor, type WasmMemory } from './module.ts';

const ENTRY = new URL('./builder-thread.ts', import.meta.url);

interface Waiting {
  resolve: (ms: number) => void;
  reject: (error: Error) => void;
}

export class BuilderThread implements GraphBuilder {
  readonly #waiting = new Map<number, Waiting>();
  #thread: Worker | undefined;
  #seq = 0;
  #closed = false;

  run(memory: WasmMemory, job: LinkJob): Promise<number> {
    if (this.#closed) return Promise.reject(new Error('the builder is closed'));
    this.#thread ??= this.#spawn();
    this.#seq += 1;
    const request: BuildRequest = { seq: this.#seq, module: moduleFor(memory), memory, job };
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#waiting.set(request.seq, { resolve, reject });
    // A process waits for its jobs, not for a thread without any.
    this.#thread.ref();
    this.#thread.postMessage(request);
    return promise;
  }

  /** Ends the thread, in the middle of a job if there is one. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#thread?.terminate();
  }

  #spawn(): Worker {
    // Neither the process's environment nor its flags concern the thread.
    const thread = new Worker(ENTRY, { env: {}, execArgv: [] });
    let failure: Error | undefined;
    thread.on('message', (reply: BuildReply) => this.#settle(reply));
    thread.on('error', (error) => {
      failure = error instanceof Error ? error : new Error(String(error));
    });
    thread.on('exit', (code) => {
      if (this.#thread === thread) this.#thread = undefined;
      const lost = [...this.#waiting.values()];
      this.#waiting.clear();
      const reason = failure ?? new Error(`the building thread exited with code ${code}`);
      for (const { reject } of lost) reject(reason);
    });
    return thread;
  }

  #settle(reply: BuildReply): void {
    const waiting = must(this.#waiting.get(reply.seq), 'a reply answers a request');
    this.#waiting.delete(reply.seq);
    if (this.#waiting.size === 0) this.#thread?.unref();
    if ('ms' in reply) waiting.resolve(reply.ms);
    else waiting.reject(new Error(reply.error));
  }
}
