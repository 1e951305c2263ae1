/**
 * One child process that is kept alive.
 *
 *            ready message
 *   starting -------------> running          a child tells its parent over the IPC channel:
 *    ^   | exit               | exit           { "event": "ready", ...the ports it got }
 *    |   v                    v
 *    |  failed (first start)  |              a channel that closes tells the child that its
 *    |                        v              parent is gone; the child then drains and exits
 *    +------------------- waiting
 *          delay passed                      stop() from any state -> stopping -> stopped
 *
 * The first start is different: a child that ends before it was ever ready (a wrong setting, a
 * folder in use) would end again, so that is an error for the person at the terminal. Later ones
 * are restarted for ever: at once when the child had been up for a while, with a growing delay
 * when it keeps dying, so that a crash loop does not take the machine.
 *
 * Children lead their own process group (`detached`), or the Ctrl-C of a terminal would reach all
 * of them at the same moment, and workers would be gone before the coordinator had finished.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { must } from '../../../shared/base/assert.ts';
import type { Clock } from '../../../shared/base/clock.ts';
import type { Deadline } from '../../../shared/base/deadline.ts';
import type { Random } from '../../../shared/base/random.ts';
import { CommandError } from '../command-error.ts';
import type { Environment } from './child-environment.ts';

/** A child that was ready this long counts as healthy: its next death is not part of a crash loop, and it
 * is started again at once. What dies of its data or settings does so earlier. */
const HEALTHY_AFTER_MS = 3_000;
const RESTART_DELAY_FIRST_MS = 200;
const RESTART_DELAY_MAX_MS = 10_000;
/** A child that has not said `ready` by then hangs. */
const START_TIMEOUT_MS = 120_000;

export interface ReadyMessage {
  event: 'ready';
  port?: number;
  adminPort?: number;
  linkPort?: number;
}

export interface ChildExit {
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface ChildSpec {
  name: string;
  /** The TypeScript file to run. */
  program: string;
  nodeFlags?: readonly string[];
  /** Asked at each start: ports are known only after the first one. */
  environment(): Environment;
}

export interface ChildListener {
  exited(name: string, pid: number, exit: ChildExit): void;
  restarted(name: string, pid: number): void;
}

type State = 'idle' | 'starting' | 'running' | 'waiting' | 'stopping' | 'stopped' | 'failed';

export class SupervisedChild {
  readonly #deps: { clock: Clock; random: Random; listener: ChildListener };
  readonly #spec: ChildSpec;
  #state: State = 'idle';
  #process: ChildProcess | undefined;
  /** When the child was last ready; undefined until the first time. */
  #readyAtMs: number | undefined;
  /** Deaths since the child was last healthy. */
  #deaths = 0;
  #cancelTimer: () => void = () => undefined;
  readonly #firstReady = Promise.withResolvers<ReadyMessage>();
  readonly #stopped = Promise.withResolvers<void>();

  constructor(deps: { clock: Clock; random: Random; listener: ChildListener }, spec: ChildSpec) {
    this.#deps = deps;
    this.#spec = spec;
  }

  get name(): string {
    return this.#spec.name;
  }

  get pid(): number | undefined {
    return this.#process?.pid;
  }

  /** The first start. Rejects with a `CommandError` when the child ends before it is ready. */
  start(): Promise<ReadyMessage> {
    this.#launch();
    return this.#firstReady.promise;
  }

  /**
   * Asks the child to drain and waits for its end; kills it when the deadline passes. True when it
   * ended by itself.
   */
  async stop(deadline: Deadline): Promise<boolean> {
    this.#cancelTimer();
    if (this.#process === undefined) {
      this.#state = 'stopped';
      return true;
    }
    this.#state = 'stopping';
    let inTime = true;
    this.#cancelTimer = this.#deps.clock.after(deadline.remainingMs(), () => {
      inTime = false;
      this.kill();
    });
    this.#process.kill('SIGTERM');
    await this.#stopped.promise;
    return inTime;
  }

  /** Ends the child now, and for good. */
  kill(): void {
    this.#cancelTimer();
    this.#state = this.#process === undefined ? 'stopped' : 'stopping';
    this.#process?.kill('SIGKILL');
  }

  #launch(): void {
    this.#state = 'starting';
    const { nodeFlags = [], program } = this.#spec;
    const child = spawn(process.execPath, [...nodeFlags, program], {
      env: this.#spec.environment(),
      detached: true,
      // What a child prints goes to standard error: standard output is for the command's answer.
      stdio: ['ignore', 2, 2, 'ipc'],
    });
    this.#process = child;
    child.on('message', (message) => {
      if (isReadyMessage(message)) this.#onReady(message);
    });
    child.once('error', (cause) => this.#onSpawnError(cause));
    child.once('exit', (code, signal) => this.#onExit({ code, signal }));
    this.#cancelTimer = this.#deps.clock.after(START_TIMEOUT_MS, () => child.kill('SIGKILL'));
  }

  #onReady(message: ReadyMessage): void {
    if (this.#state !== 'starting') return;
    this.#cancelTimer();
    this.#state = 'running';
    const restarted = this.#readyAtMs !== undefined;
    this.#readyAtMs = this.#deps.clock.monotonicMs();
    this.#firstReady.resolve(message);
    const pid = must(this.pid, 'a child that speaks has a pid');
    if (restarted) this.#deps.listener.restarted(this.name, pid);
  }

  /** The process never came to be; when it did, its exit is what counts. */
  #onSpawnError(cause: Error): void {
    if (this.pid !== undefined) return;
    this.#firstReady.reject(new CommandError(`cannot start ${this.name}: ${cause.message}`));
    this.#onExit({ code: null, signal: null });
  }

  #onExit(exit: ChildExit): void {
    const pid = this.pid;
    this.#cancelTimer();
    this.#process = undefined;
    if (this.#state === 'stopping') {
      this.#state = 'stopped';
      this.#firstReady.reject(new CommandError(`${this.name} was stopped before it was ready`));
      this.#stopped.resolve();
      return;
    }
    if (this.#readyAtMs === undefined) {
      this.#state = 'failed';
      const how = describeExit(exit);
      this.#firstReady.reject(
        new CommandError(`${this.name} ended before it was ready (${how}); its log says why`),
      );
      return;
    }
    const upForMs = this.#deps.clock.monotonicMs() - this.#readyAtMs;
    if (this.#state === 'running' && upForMs >= HEALTHY_AFTER_MS) this.#deaths = 0;
    if (pid !== undefined) this.#deps.listener.exited(this.name, pid, exit);
    this.#state = 'waiting';
    this.#cancelTimer = this.#deps.clock.after(this.#restartDelayMs(), () => this.#launch());
    this.#deaths += 1;
  }

  #restartDelayMs(): number {
    if (this.#deaths === 0) return 0;
    const full = Math.min(RESTART_DELAY_MAX_MS, RESTART_DELAY_FIRST_MS * 2 ** (this.#deaths - 1));
    return full * (0.5 + this.#deps.random.next() / 2);
  }
}

/** `code 1` or `signal SIGKILL`. */
export function describeExit(exit: ChildExit): string {
  if (exit.signal !== null) return `signal ${exit.signal}`;
  return exit.code === null ? 'it could not be run' : `code ${exit.code}`;
}

function isReadyMessage(message: unknown): message is ReadyMessage {
  if (typeof message !== 'object' || message === null) return false;
  return 'event' in message && message.event === 'ready';
}
