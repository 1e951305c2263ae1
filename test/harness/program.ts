/**
 * One program of the service as a process of its own, without the supervisor: for tests of what it does
 * to its folder, and of what another one does to it. Ended by its process id when the test ends.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { compileCacheEnvironment } from '../../shared/base/compile-cache.ts';
import { type Cleanup, cleanUp } from './cleanup.ts';

const PROGRAMS = {
  coordinator: fileURLToPath(new URL('../../coordinator/main.ts', import.meta.url)),
  worker: fileURLToPath(new URL('../../worker/main.ts', import.meta.url)),
};
const SECRETS = {
  BULKHEAD_LINK_SECRET: 'link-secret-of-the-tests-of-thirty-two-characters',
  BULKHEAD_ADMIN_TOKEN: 'admin-token-of-the-tests-of-thirty-two-characters',
  BULKHEAD_KEY_PEPPER: 'pepper-of-the-tests-of-thirty-two-characters',
};
const LOG_CHARS_MAX = 256 * 1024;
const WAIT_MS_MAX = 30_000;
const POLL_MS = 20;

export const ADMIN_TOKEN = SECRETS.BULKHEAD_ADMIN_TOKEN;

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface LogEntry {
  event: string;
  [field: string]: unknown;
}

export class Program {
  readonly ended: Promise<Ended>;
  readonly #process: ChildProcess;
  readonly #ready = Promise.withResolvers<Record<string, unknown>>();
  #log = '';

  private constructor(process: ChildProcess) {
    this.#process = process;
    this.ended = once(process, 'close').then(([code, signal]) => ({ code, signal }));
    process.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#log = (this.#log + text).slice(-LOG_CHARS_MAX);
    });
    process.once('message', (message) => {
      this.#ready.resolve(message as Record<string, unknown>);
    });
    this.#ready.promise.catch(() => undefined);
    void this.ended.then(({ code, signal }) => {
      this.#ready.reject(new Error(`the program ended, ${signal ?? code}; its log:\n${this.#log}`));
    });
  }

  /** Starts a program; `env` are settings of its own, and whatever else its process is to have. */
  static start(
    t: Cleanup,
    name: keyof typeof PROGRAMS,
    { folder, env = {} }: { folder: string; env?: Record<string, string> },
  ): Program {
    const child = spawn(process.execPath, [PROGRAMS[name]], {
      env: {
        PATH: process.env.PATH ?? '',
        ...compileCacheEnvironment(),
        BULKHEAD_ENV_FILE: envFileOf(folder, name),
        ...(name === 'coordinator' && {
          BULKHEAD_PORT: '0',
          BULKHEAD_ADMIN_PORT: '0',
          BULKHEAD_LINK_PORT: '0',
        }),
        ...env,
      },
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    });
    const program = new Program(child);
    cleanUp(t, async () => {
      child.kill('SIGKILL');
      await program.ended;
    });
    return program;
  }

  /** What it tells its parent when it serves; rejects with its log when it ends before. */
  get ready(): Promise<Record<string, unknown>> {
    return this.#ready.promise;
  }

  get pid(): number {
    if (this.#process.pid === undefined) throw new Error('the program has no process');
    return this.#process.pid;
  }

  get isRunning(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** The lines of its log that are events of this name. */
  logged(event: string): LogEntry[] {
    const lines = this.#log.split('\n').filter((line) => line.includes(`"event":"${event}"`));
    return lines.map((line) => JSON.parse(line));
  }

  /** Waits for a line; throws when none comes in time. */
  async untilLogged(event: string): Promise<LogEntry> {
    for (let waited = 0; waited < WAIT_MS_MAX; waited += POLL_MS) {
      const [line] = this.logged(event);
      if (line !== undefined) return line;
      await sleep(POLL_MS);
    }
    throw new Error(`no ${event} in time; the log:\n${this.#log}`);
  }

  async kill(signal: NodeJS.Signals): Promise<Ended> {
    this.#process.kill(signal);
    return this.ended;
  }
}

/** The secrets that all programs of the tests share; a program refuses those that are not its own. */
function envFileOf(folder: string, name: keyof typeof PROGRAMS): string {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `${name}.env`);
  const { BULKHEAD_LINK_SECRET, ...others } = SECRETS;
  const secrets = { BULKHEAD_LINK_SECRET, ...(name === 'coordinator' && others) };
  const lines = Object.entries(secrets).map(([key, value]) => `${key}=${value}\n`);
  if (!existsSync(file)) writeFileSync(file, lines.join(''), { mode: 0o600 });
  return file;
}
