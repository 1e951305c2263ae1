/**
 * A running `bulkhead up --json` as a program sees it (tests, benchmarks): its events as they come,
 * its end, its log. It is a real process, and is ended by its own process id only.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { systemClock } from '../../../shared/base/clock.ts';
import { compileCacheEnvironment } from '../../../shared/base/compile-cache.ts';

const EVENT_TIMEOUT_MS = 60_000;
const LOG_CHARS_MAX = 64 * 1024;

export interface UpEvent {
  event: string;
  name?: string;
  pid?: number;
  [field: string]: unknown;
}

export interface Exit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

interface Waiter {
  matches(event: UpEvent): boolean;
  resolve(event: UpEvent): void;
}

export class UpProcess {
  /** Everything said so far, oldest first. */
  readonly events: UpEvent[] = [];
  readonly exited: Promise<Exit>;
  readonly #process: ChildProcess;
  readonly #waiters = new Set<Waiter>();
  #log = '';

  /** `args` are those of `node`. Nothing of this process's `BULKHEAD_*` environment is passed on. */
  constructor(args: readonly string[], env: Record<string, string> = {}) {
    const { PATH = '', HOME = '' } = process.env;
    this.#process = spawn(process.execPath, args, {
      env: { PATH, HOME, ...compileCacheEnvironment(), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.exited = once(this.#process, 'close').then(([code, signal]) => ({ code, signal }));
    const { stdout, stderr } = this.#process as { stdout: Readable; stderr: Readable };
    createInterface(stdout).on('line', (line) => this.#onEvent(JSON.parse(line)));
    stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#log = (this.#log + text).slice(-LOG_CHARS_MAX);
    });
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** The last of what it and its children wrote to standard error. */
  get log(): string {
    return this.#log;
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /**
   * The first event of this kind from position `from` of `events` on, waiting for it. Rejects when
   * the process ends or too much time passes, with its log.
   */
  async waitFor(
    kind: string,
    options: { name?: string | undefined; from?: number; timeoutMs?: number } = {},
  ): Promise<UpEvent> {
    const matches = (event: UpEvent): boolean => {
      return event.event === kind && (options.name === undefined || event.name === options.name);
    };
    const known = this.events.slice(options.from ?? 0).find(matches);
    if (known !== undefined) return known;
    const { promise, resolve, reject } = Promise.withResolvers<UpEvent>();
    const waiter = { matches, resolve };
    this.#waiters.add(waiter);
    const fail = (why: string): void => {
      reject(new Error(`no '${kind}' of bulkhead up: ${why}; its log:\n${this.#log}`));
    };
    const cancel = systemClock.after(options.timeoutMs ?? EVENT_TIMEOUT_MS, () => fail('too late'));
    void this.exited.then(({ code, signal }) => fail(`it ended, ${signal ?? code}`));
    return promise.finally(() => {
      cancel();
      this.#waiters.delete(waiter);
    });
  }

  #onEvent(event: UpEvent): void {
    this.events.push(event);
    for (const waiter of this.#waiters) {
      if (waiter.matches(event)) waiter.resolve(event);
    }
  }
}
