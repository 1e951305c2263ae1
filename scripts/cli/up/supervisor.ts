/**
 * The processes of one installation: a coordinator and its workers.
 *
 * Start: coordinator, then (its link port is known) all workers at once.
 * Stop: coordinator first, so that requests under way still have their workers, then all workers.
 *
 * The coordinator's first start may have been on port 0; what it got is remembered and asked for
 * again at each restart, so that addresses outlive the process.
 */
import { join } from 'node:path';
import type { Clock } from '../../../shared/base/clock.ts';
import { COMPILE_CACHE_NAME } from '../../../shared/base/compile-cache.ts';
import { Deadline } from '../../../shared/base/deadline.ts';
import type { Random } from '../../../shared/base/random.ts';
import { ENV_FILE_NAME, envNameOf } from '../../../shared/config/option-table.ts';
import { CommandError } from '../command-error.ts';
import type { EnvFiles } from '../env-files.ts';
import type { Environment } from './child-environment.ts';
import { COORDINATOR_NODE_FLAGS, WORKER_NODE_FLAGS } from './node-flags.ts';
import { type ChildListener, type ReadyMessage, SupervisedChild } from './supervised-child.ts';

/** For the coordinator and again for the workers: a little more than they give themselves. */
const DRAIN_TIMEOUT_MS = 65_000;
/** Where a listener on every address of the machine can be reached. */
const LOOPBACK = '127.0.0.1';

export interface Ports {
  port: number;
  adminPort: number;
  linkPort: number;
}

export interface Programs {
  coordinator: string;
  worker: string;
}

export interface SupervisorOptions {
  programs: Programs;
  dataFolder: string;
  envFiles: EnvFiles;
  environments: { coordinator: Environment; worker: Environment };
  host: string;
  port: number;
  adminPort: number;
  workerCount: number;
}

interface Deps {
  clock: Clock;
  random: Random;
  listener: ChildListener;
}

export class Supervisor {
  readonly #clock: Clock;
  readonly #options: SupervisorOptions;
  readonly #coordinator: SupervisedChild;
  readonly #workers: readonly SupervisedChild[];
  #ports: Ports;

  constructor(deps: Deps, options: SupervisorOptions) {
    this.#clock = deps.clock;
    this.#options = options;
    this.#ports = { port: options.port, adminPort: options.adminPort, linkPort: 0 };
    this.#coordinator = new SupervisedChild(deps, {
      name: 'coordinator',
      program: options.programs.coordinator,
      nodeFlags: COORDINATOR_NODE_FLAGS,
      environment: () => this.#coordinatorEnvironment(),
    });
    this.#workers = Array.from({ length: options.workerCount }, (_, index) => {
      const name = `worker-${index + 1}`;
      return new SupervisedChild(deps, {
        name,
        program: options.programs.worker,
        nodeFlags: WORKER_NODE_FLAGS,
        environment: () => this.#workerEnvironment(name),
      });
    });
  }

  /** Resolves when every process has said that it is ready; throws `CommandError`. */
  async start(): Promise<Ports> {
    this.#ports = portsOf(await this.#coordinator.start());
    await Promise.all(this.#workers.map((worker) => worker.start()));
    return this.#ports;
  }

  get pids(): { coordinator: number | undefined; workers: (number | undefined)[] } {
    return {
      coordinator: this.#coordinator.pid,
      workers: this.#workers.map((worker) => worker.pid),
    };
  }

  /** Drains everything. Returns the names of the processes that had to be killed. */
  async stop(): Promise<string[]> {
    const late = await stopAll([this.#coordinator], this.#drainDeadline());
    return [...late, ...(await stopAll(this.#workers, this.#drainDeadline()))];
  }

  /** Kills everything. */
  kill(): void {
    for (const child of [this.#coordinator, ...this.#workers]) child.kill();
  }

  #drainDeadline(): Deadline {
    return Deadline.after(this.#clock, DRAIN_TIMEOUT_MS);
  }

  /** Unless the operator has named another one. */
  get #compileCache(): Environment {
    return { [COMPILE_CACHE_NAME]: join(this.#options.dataFolder, 'compile-cache') };
  }

  #coordinatorEnvironment(): Environment {
    const { environments, envFiles, dataFolder, host } = this.#options;
    return {
      ...this.#compileCache,
      ...environments.coordinator,
      [ENV_FILE_NAME]: envFiles.coordinator,
      [envNameOf('dataDir')]: join(dataFolder, 'coordinator'),
      [envNameOf('host')]: host,
      [envNameOf('port')]: String(this.#ports.port),
      [envNameOf('adminPort')]: String(this.#ports.adminPort),
      [envNameOf('linkPort')]: String(this.#ports.linkPort),
    };
  }

  #workerEnvironment(name: string): Environment {
    const { environments, envFiles, dataFolder, host } = this.#options;
    return {
      ...this.#compileCache,
      ...environments.worker,
      [ENV_FILE_NAME]: envFiles.worker,
      [envNameOf('dataDir')]: join(dataFolder, name),
      [envNameOf('coordinatorUrl')]: `ws://${dialable(host)}:${this.#ports.linkPort}`,
    };
  }
}

/** An address under which a listener on `host` can be reached from this machine. */
export function dialable(host: string): string {
  if (host === '0.0.0.0' || host === '::') return LOOPBACK;
  return host.includes(':') ? `[${host}]` : host;
}

async function stopAll(
  children: readonly SupervisedChild[],
  deadline: Deadline,
): Promise<string[]> {
  const inTime = await Promise.all(children.map((child) => child.stop(deadline)));
  return children.filter((_, index) => !inTime[index]).map((child) => child.name);
}

function portsOf({ port, adminPort, linkPort }: ReadyMessage): Ports {
  if (port === undefined || adminPort === undefined || linkPort === undefined) {
    throw new CommandError('the coordinator did not say which ports it has');
  }
  return { port, adminPort, linkPort };
}
