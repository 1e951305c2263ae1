/**
 * The real service in a test: `bulkhead up` on free ports over a temporary folder, ended and
 * removed when the test ends, whatever happened.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { QdrantClient } from '@qdrant/js-client-rest';
import { type Exit, UpProcess } from '../../scripts/cli/up/up-process.ts';
import { systemClock } from '../../shared/base/clock.ts';
import { type Cleanup, cleanUp } from './cleanup.ts';
import { temporaryFolder } from './temporary-folder.ts';

export const BULKHEAD = fileURLToPath(new URL('../../scripts/bulkhead.ts', import.meta.url));
const STOP_TIMEOUT_MS = 90_000;

export interface ServiceOptions {
  workers?: number;
  /** The data folder, and the key of its first start when there was one already. */
  data?: { folder: string; key?: string };
  /** Data and admin port; free ones by default. */
  ports?: { data: number; admin: number };
  /** `BULKHEAD_*` settings of coordinator and workers. */
  env?: Record<string, string>;
}

interface ReadyEvent {
  url: string;
  admin_url: string;
  env_file: string;
  pids: { coordinator: number; workers: number[] };
  key?: string;
}

export class Service {
  readonly dataFolder: string;
  readonly url: string;
  readonly adminUrl: string;
  readonly envFile: string;
  /** The first client's key. */
  readonly key: string;
  readonly up: UpProcess;
  /** Process ids by name (`coordinator`, `worker-1`, ...), as of the last event. */
  readonly #firstPids: ReadonlyMap<string, number>;

  constructor(up: UpProcess, ready: ReadyEvent, data: { folder: string; key: string }) {
    this.up = up;
    this.dataFolder = data.folder;
    this.key = data.key;
    this.url = ready.url;
    this.adminUrl = ready.admin_url;
    this.envFile = ready.env_file;
    this.#firstPids = new Map([
      ['coordinator', ready.pids.coordinator],
      ...ready.pids.workers.map((pid, index) => [`worker-${index + 1}`, pid] as const),
    ]);
  }

  get workerNames(): string[] {
    return [...this.#firstPids.keys()].filter((name) => name !== 'coordinator');
  }

  /** The process id that `coordinator`, `worker-1`, ... has now. */
  pidOf(name: string): number {
    const restarts = this.up.events.filter((e) => e.event === 'restarted' && e.name === name);
    const pid = restarts.at(-1)?.pid ?? this.#firstPids.get(name);
    if (pid === undefined) throw new Error(`the service has no ${name}`);
    return pid;
  }

  /** Signals one process and resolves when the supervisor has it serving again. */
  async killAndWait(name: string, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const from = this.up.events.length;
    process.kill(this.pidOf(name), signal);
    await this.up.waitFor('restarted', { name, from });
  }

  /** A stock client; retries and compatibility check are its own. */
  client(key = this.key): QdrantClient {
    return new QdrantClient({ url: this.url, apiKey: key });
  }

  /** A request as an SDK would make it; `body` is sent as JSON. */
  fetch(method: string, path: string, body?: unknown): Promise<Response> {
    const headers: Record<string, string> = { 'api-key': this.key };
    if (body === undefined) return fetch(`${this.url}${path}`, { method, headers });
    headers['content-type'] = 'application/json';
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return fetch(`${this.url}${path}`, { method, headers, body: text });
  }

  adminToken(): string {
    const line = /^BULKHEAD_ADMIN_TOKEN=(.*)$/m.exec(readFileSync(this.envFile, 'utf8'));
    if (line?.[1] === undefined) throw new Error(`${this.envFile} has no admin token`);
    return line[1];
  }

  /** Drains, as Ctrl-C does. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<Exit> {
    this.up.signal(signal);
    return this.up.exited;
  }

  /** What is needed to start again on the same data. */
  get data(): { folder: string; key: string } {
    return { folder: this.dataFolder, key: this.key };
  }
}

export async function startService(t: Cleanup, options: ServiceOptions = {}): Promise<Service> {
  const folder = options.data?.folder ?? join(temporaryFolder(t), 'data');
  const { data = 0, admin = 0 } = options.ports ?? {};
  const up = new UpProcess(
    [
      ...[BULKHEAD, 'up', '--json', '--data', folder],
      ...['--port', String(data), '--admin-port', String(admin)],
      ...['--workers', String(options.workers ?? 2)],
    ],
    options.env,
  );
  cleanUp(t, () => endForSure(up));
  const ready = (await up.waitFor('ready')) as unknown as ReadyEvent;
  const key = ready.key ?? options.data?.key;
  if (key === undefined) throw new Error('a first start on a new folder shows a key');
  return new Service(up, ready, { folder, key });
}

/** Drains the service; when it does not end, kills it and every process it told of. */
async function endForSure(up: UpProcess): Promise<void> {
  up.signal('SIGTERM');
  const late = Promise.withResolvers<'late'>();
  const cancel = systemClock.after(STOP_TIMEOUT_MS, () => late.resolve('late'));
  const outcome = await Promise.race([up.exited, late.promise]);
  cancel();
  if (outcome === 'late') up.signal('SIGKILL');
  for (const pid of pidsOf(up)) killOurs(pid);
}

function pidsOf(up: UpProcess): number[] {
  const ready = up.events.find((event) => event.event === 'ready') as ReadyEvent | undefined;
  const first = ready === undefined ? [] : [ready.pids.coordinator, ...ready.pids.workers];
  return [...first, ...up.events.flatMap((event) => (event.pid === undefined ? [] : [event.pid]))];
}

/** Kills a process that is still there and still one of this service's, not its id's next owner. */
function killOurs(pid: number): void {
  const commandLine = `/proc/${pid}/cmdline`;
  if (!existsSync(commandLine)) return;
  const text = readFileSync(commandLine, 'utf8');
  if (/(coordinator|worker)\/main\.ts/.test(text)) process.kill(pid, 'SIGKILL');
}
