/**
 * The life of a process, the same for every program:
 *
 *   starting --ready--> serving --SIGINT, SIGTERM or the parent is gone--> draining --> exit 0
 *      |                                                                      |
 *      +--failure--> close what was opened, exit 1 (or 3: see `InUse`)        +--a second signal--> exit 130
 *
 * A parent that started the program with an IPC channel gets `{event: 'ready', ...}` over it. When
 * that channel closes the parent is gone, and the program drains as if it had been asked to.
 */
import { type Clock, holdProcessOpen } from './clock.ts';
import { keepCompiledCode } from './compile-cache.ts';
import { InUse } from './in-use.ts';
import { Shutdown } from './shutdown.ts';

/** The part of Node's `process` that a program's life needs. */
export type ProcessHost = Pick<NodeJS.Process, 'on' | 'off' | 'exit' | 'send'>;

export interface Program {
  /** Opens everything, registering each part with `shutdown`; resolves to the ready message. */
  start(shutdown: Shutdown): Promise<Record<string, unknown>>;
  stopping(reason: string): void;
  /** Everything is closed; `failures` are the parts that did not close well. */
  stopped(failures: Error[]): void;
  /** The program could not start. */
  failed(error: unknown): void;
}

const DRAIN_MS_MAX = 60_000;
const EXIT_FAILED = 1;
/** To start it again is no use before the other process has ended. */
const EXIT_IN_USE = 3;
const EXIT_INTERRUPTED = 130;

export async function runProcess(host: ProcessHost, clock: Clock, program: Program): Promise<void> {
  const shutdown = new Shutdown(clock);
  // A worker that is between two tries to dial has nothing else that holds the process open.
  holdProcessOpen();
  const asked = Promise.withResolvers<string>();
  let asks = 0;
  const ask = (reason: string) => {
    asks += 1;
    if (asks > 1) host.exit(EXIT_INTERRUPTED);
    asked.resolve(reason);
  };
  host.on('SIGINT', () => ask('SIGINT'));
  host.on('SIGTERM', () => ask('SIGTERM'));
  host.on('disconnect', () => asked.resolve('the parent process is gone'));
  try {
    const ready = await program.start(shutdown);
    host.send?.({ event: 'ready', ...ready });
    keepCompiledCode();
  } catch (error) {
    program.failed(error);
    await shutdown.close(DRAIN_MS_MAX);
    host.exit(error instanceof InUse ? EXIT_IN_USE : EXIT_FAILED);
    return;
  }
  program.stopping(await asked.promise);
  const failures = await shutdown.close(DRAIN_MS_MAX);
  program.stopped(failures);
  host.exit(failures.length === 0 ? 0 : EXIT_FAILED);
}
