/** A service of three workers with a storm on a collection, of two shards if not said, two replicas
 * each. */
import type { TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SeededRandom } from '../../shared/base/random.ts';
import { takeSeed } from '../harness/seed.ts';
import { type Service, startService } from '../harness/service.ts';
import type { Endpoint } from '../model/collection-client.ts';
import { DIMENSION } from '../model/generate.ts';
import { type Patience, PatientClient } from './patient-client.ts';
import { Storm } from './storm.ts';

export const NAME = 'struck';
const SHAPE = { size: DIMENSION, distance: 'Euclid', engine: 'kernel', links: 6 } as const;
const SPREAD = { shards: 2, replicas: 2 };
/** So that there are graphs of few points. */
export const STORM_ENV = { BULKHEAD_FLAT_POINTS_MAX: '50' };
const WRITERS = 3;
const WATCHERS = 2;
const LEVEL_TRIES = 600;
const LEVEL_PAUSE_MS = 100;

/** A storm at work. */
export interface Raised {
  storm: Storm;
  writing: PatientClient;
  reading: PatientClient;
}

export interface Stormy extends Raised {
  service: Service;
  random: SeededRandom;
}

export interface StormOptions {
  /** Of the readers; writers repeat what was not done. */
  patience: Patience;
  shards?: number;
  writers?: number;
  watchers?: number;
  /** Of each writer at first. */
  points?: number;
}

export interface StormyOptions extends StormOptions {
  seed: number;
  /** `BULKHEAD_*` settings of coordinator and workers. */
  env?: Record<string, string>;
}

export async function startStorm(t: TestContext, options: StormyOptions): Promise<Stormy> {
  const random = new SeededRandom(takeSeed(t, options.seed));
  const service = await startService(t, { workers: 3, env: { ...STORM_ENV, ...options.env } });
  return { ...(await raiseStorm(service, random, options)), service, random };
}

/** Makes the collection of a client, fills it, and begins. */
export async function raiseStorm(
  endpoint: Endpoint,
  random: SeededRandom,
  options: StormOptions,
): Promise<Raised> {
  const { patience, shards = SPREAD.shards, writers = WRITERS, watchers = WATCHERS } = options;
  const writing = new PatientClient(endpoint, NAME, { reads: true });
  const reading = new PatientClient(endpoint, NAME, patience);
  await writing.create({ ...SHAPE, ...SPREAD, shards });
  const { distance } = SHAPE;
  const storm = new Storm({ ...options, writers, watchers, distance, random, writing, reading });
  await storm.fill();
  storm.start();
  return { storm, writing, reading };
}

/** Waits until every replica is in sync: only then another one may die without anybody noticing. */
export async function becomeLevel(
  service: Pick<Service, 'adminUrl' | 'adminToken'>,
): Promise<void> {
  const headers = { authorization: `Bearer ${service.adminToken()}` };
  const url = `${service.adminUrl}/admin/v1/replicas?state=behind`;
  for (let tries = 0; tries < LEVEL_TRIES; tries += 1) {
    const { replicas } = (await (await fetch(url, { headers })).json()) as { replicas: unknown[] };
    if (replicas.length === 0) return;
    await sleep(LEVEL_PAUSE_MS);
  }
  throw new Error('replicas stay behind');
}

/** Ends the storm, checks what is there, and tells what was done. */
export async function endStorm(t: TestContext, { storm, writing, reading }: Raised): Promise<void> {
  await storm.stop();
  await storm.check();
  const refused = (client: PatientClient) => JSON.stringify(Object.fromEntries(client.refusals));
  t.diagnostic(JSON.stringify(storm.done));
  t.diagnostic(`refusals by status: writers ${refused(writing)}, readers ${refused(reading)}`);
  const [p50, p99] = [storm.latencyMs(0.5), storm.latencyMs(0.99)].map(Math.round);
  t.diagnostic(`reads: p50 ${p50} ms, p99 ${p99} ms`);
}
