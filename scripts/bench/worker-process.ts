/** A worker's process with its coordinator's end of the link in this one: no HTTP between. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { WorkerLink } from '../../coordinator/worker-link/worker-link.ts';
import { systemClock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import type { ShardId, WorkerId } from '../../shared/base/ids.ts';
import { secureRandom } from '../../shared/base/random.ts';
import { quietLog } from '../../shared/log/log.ts';
import type { MessageName, Reply, Request, WithVectors } from '../../shared/protocol/messages.ts';
import { WORKER_NODE_FLAGS } from '../cli/up/node-flags.ts';
import { rssBytesOf } from './process-stats.ts';

const PROGRAM = fileURLToPath(new URL('../../worker/main.ts', import.meta.url));
const SECRET = 'the link secret of a benchmark, long enough';
const HOST = '127.0.0.1';
const REQUEST_MS = 60_000;

export class WorkerProcess {
  /** From the start of the process until it had its shards and had shaken hands. */
  readonly readyMs: number;
  readonly #process: ChildProcess;
  readonly #link: WorkerLink;
  readonly #workerId: WorkerId;

  private constructor(
    process: ChildProcess,
    parts: { link: WorkerLink; workerId: WorkerId; readyMs: number },
  ) {
    this.#process = process;
    this.#link = parts.link;
    this.#workerId = parts.workerId;
    this.readyMs = parts.readyMs;
  }

  /** Starts a worker on a folder; `settings` are `BULKHEAD_*` of its own. */
  static async start(folder: string, settings: Record<string, string>): Promise<WorkerProcess> {
    const link = new WorkerLink(
      { clock: systemClock, random: secureRandom, log: quietLog },
      { host: HOST, port: 0, secret: SECRET },
    );
    const { port } = await link.start();
    const connected = Promise.withResolvers<WorkerId>();
    link.onConnect(connected.resolve);
    const envFile = join(folder, 'worker.env');
    writeFileSync(envFile, `BULKHEAD_LINK_SECRET=${SECRET}\n`, { mode: 0o600 });
    const startMs = systemClock.monotonicMs();
    const child = spawn(process.execPath, [...WORKER_NODE_FLAGS, PROGRAM], {
      env: {
        PATH: process.env.PATH ?? '',
        BULKHEAD_DATA_DIR: join(folder, 'data'),
        BULKHEAD_COORDINATOR_URL: `ws://${HOST}:${port}`,
        BULKHEAD_ENV_FILE: envFile,
        ...settings,
      },
      // A worker ends when this channel does: it does not outlive a benchmark that is broken off.
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    let log = '';
    child.stderr?.on('data', (text: Buffer) => {
      log = (log + text.toString()).slice(-4_096);
    });
    child.once('exit', (code) => connected.reject(new Error(`worker ended (${code}): ${log}`)));
    const workerId = await connected.promise;
    const readyMs = systemClock.monotonicMs() - startMs;
    return new WorkerProcess(child, { link, workerId, readyMs });
  }

  ask<N extends MessageName>(
    shardId: ShardId,
    name: N,
    body: Request<N>,
    vectors?: Float32Array,
  ): Promise<WithVectors<Reply<N>>> {
    const route = { shardId, workerId: this.#workerId };
    const deadline = Deadline.after(systemClock, REQUEST_MS);
    return this.#link.request(route, name, body, vectors, deadline);
  }

  get rssBytes(): number {
    return rssBytesOf(this.#pid);
  }

  /** Descriptors of any kind, and those of files that end in `name`. */
  files(name: string): { all: number; named: number } {
    const folder = `/proc/${this.#pid}/fd`;
    const targets = readdirSync(folder).flatMap((fd) => {
      try {
        return [readlinkSync(join(folder, fd))];
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
        throw error;
      }
    });
    return {
      all: targets.length,
      named: targets.filter((target) => target.endsWith(name)).length,
    };
  }

  async stop(): Promise<void> {
    const exited = once(this.#process, 'exit');
    this.#process.kill('SIGTERM');
    await exited;
    await this.#link.close(Deadline.after(systemClock, 0));
  }

  get #pid(): number {
    if (this.#process.pid === undefined) throw new Error('the worker has no process');
    return this.#process.pid;
  }
}
