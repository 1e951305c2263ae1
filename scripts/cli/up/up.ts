/**
 * `bulkhead up`: a coordinator and its workers as one thing that starts, serves and stops.
 *
 *   lock the folder -> secrets -> ports free? -> processes -> workers connected -> first key
 *   -> `ready` -> (children die and are restarted) -> signal -> drain -> exit 0
 *                                                                \-> second signal -> exit 130
 */
import { resolve } from 'node:path';
import type { Clock } from '../../../shared/base/clock.ts';
import { Deadline } from '../../../shared/base/deadline.ts';
import type { SecureRandom } from '../../../shared/base/random.ts';
import { AdminClient } from '../admin/admin-client.ts';
import { CommandError } from '../command-error.ts';
import { createEnvFiles, type EnvFiles, readAdminToken } from '../env-files.ts';
import { childEnvironments } from './child-environment.ts';
import { asDataFolderError, makeDataFolder } from './data-folder.ts';
import { lockDataFolder } from './data-lock.ts';
import { checkPortFree } from './port-check.ts';
import { StopSignals } from './stop-signals.ts';
import { dialable, type Programs, Supervisor } from './supervisor.ts';
import { UpReport } from './up-report.ts';

const CONNECT_TIMEOUT_MS = 120_000;
const CONNECT_POLL_MS = 25;
const FIRST_CLIENT = 'first';
/** Whoever starts the service for themselves is not kept short. */
const FIRST_PLAN = 'dedicated';
const EXIT_FORCED = 130;

export interface UpOptions {
  data: string;
  host: string;
  port: number;
  adminPort: number;
  workers: number;
  json: boolean;
}

export interface UpContext {
  env: Readonly<Record<string, string | undefined>>;
  clock: Clock;
  random: SecureRandom;
  programs: Programs;
  write(text: string): void;
}

/** Runs until a signal says stop. Resolves with the exit code; throws `CommandError`. */
export async function up(options: UpOptions, context: UpContext): Promise<number> {
  const dataFolder = resolve(options.data);
  const environments = childEnvironments(context.env);
  makeDataFolder(dataFolder);
  const signals = new StopSignals(context.clock);
  const lock = await lockDataFolder(dataFolder);
  signals.start();
  try {
    const envFiles = await prepareEnvFiles(dataFolder, context.random);
    await checkPortFree(options.host, options.port, '--port');
    await checkPortFree(options.host, options.adminPort, '--admin-port');
    const report = new UpReport({ json: options.json, write: context.write });
    const supervisor = new Supervisor(
      { clock: context.clock, random: context.random, listener: report },
      {
        ...options,
        workerCount: options.workers,
        programs: context.programs,
        dataFolder,
        envFiles,
        environments,
      },
    );
    return await run({ options, clock: context.clock, envFiles, supervisor, signals, report });
  } finally {
    signals.close();
    await lock.release();
  }
}

async function prepareEnvFiles(dataFolder: string, random: SecureRandom): Promise<EnvFiles> {
  try {
    return await createEnvFiles(dataFolder, random);
  } catch (error) {
    throw asDataFolderError(dataFolder, error);
  }
}

interface Run {
  options: UpOptions;
  clock: Clock;
  envFiles: EnvFiles;
  supervisor: Supervisor;
  signals: StopSignals;
  report: UpReport;
}

async function run(parts: Run): Promise<number> {
  const { supervisor, signals, report } = parts;
  const serving = serve(parts);
  try {
    await Promise.race([serving, signals.first]);
  } catch (error) {
    await drain(supervisor, signals);
    throw error;
  }
  await signals.first;
  report.stopping();
  const { forced, late } = await drain(supervisor, signals);
  // When the signal came during the start, `serving` has just failed for want of its processes.
  await Promise.allSettled([serving]);
  if (forced) return EXIT_FORCED;
  if (late.length > 0) {
    throw new CommandError(`had to be killed, they did not finish in time: ${late.join(', ')}`);
  }
  report.stopped();
  return 0;
}

async function serve({ supervisor, report, envFiles, options, clock }: Run): Promise<void> {
  const ports = await supervisor.start();
  const host = dialable(options.host);
  const adminUrl = `http://${host}:${ports.adminPort}`;
  const admin = new AdminClient({ url: adminUrl, token: readAdminToken(envFiles.coordinator) });
  try {
    await workersConnected(admin, options.workers, clock);
    const key = await createFirstKey(admin);
    report.ready({
      url: `http://${host}:${ports.port}`,
      adminUrl,
      envFile: envFiles.coordinator,
      pids: supervisor.pids,
      key,
    });
  } finally {
    await admin.close();
  }
}

/** A worker is ready when it dials; the service is when they have all been let in. */
async function workersConnected(admin: AdminClient, count: number, clock: Clock): Promise<void> {
  const deadline = Deadline.after(clock, CONNECT_TIMEOUT_MS);
  let connected = 0;
  while (connected < count) {
    if (deadline.expired) {
      throw new CommandError(`only ${connected} of ${count} workers connected; the log says why`);
    }
    await new Promise<void>((resume) => clock.after(CONNECT_POLL_MS, resume));
    connected = (await admin.status()).workers.connected;
  }
}

/**
 * The key of a first client, when there is no other client and this one has no key yet (a start
 * that ended between the two steps is taken up where it stopped).
 */
async function createFirstKey(admin: AdminClient): Promise<string | undefined> {
  if ((await admin.status()).clients > 1) return undefined;
  const [only] = await admin.listClients();
  if (only !== undefined && only.name !== FIRST_CLIENT) return undefined;
  const { client_id: clientId } =
    only ?? (await admin.createClient({ name: FIRST_CLIENT, plan: FIRST_PLAN }));
  if ((await admin.listKeys(clientId)).length > 0) return undefined;
  return (await admin.createKey(clientId, { name: 'first key', mode: 'live' })).key;
}

interface Drained {
  /** A second signal came. */
  forced: boolean;
  /** Processes that had to be killed because they did not finish in time. */
  late: string[];
}

async function drain(supervisor: Supervisor, signals: StopSignals): Promise<Drained> {
  const stopping = supervisor.stop();
  const outcome = await Promise.race([stopping, signals.second]);
  if (outcome !== 'stop-now') return { forced: false, late: outcome };
  supervisor.kill();
  await stopping;
  return { forced: true, late: [] };
}
