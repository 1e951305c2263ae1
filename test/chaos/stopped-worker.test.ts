/**
 * A worker that hangs (SIGSTOP): its connection stands, and nothing comes. Queries go elsewhere within
 * two seconds, the coordinator does not fill up, and when the worker goes on, nothing that it still
 * says meets a request that it was not asked for. When it holds the only replica, who writes much hears
 * early that it does not answer, and the coordinator does not hold what it was sent.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../shared/base/clock.ts';
import { byProfile } from '../harness/profile.ts';
import { type Service, startService } from '../harness/service.ts';
import { becomeLevel, endStorm, startStorm } from './storm-service.ts';

const STOPS = byProfile(1, 5);
const STOP_MS = byProfile(12_000, 30_000);
const CALM_MS = 4_000;
const GROWTH_MAX_BYTES = 64 * 2 ** 20;

test('a worker that hangs is routed around, and says nothing stale when it goes on', async (t) => {
  const stormy = await startStorm(t, { seed: 20_261_130, patience: { reads: false } });
  const { service, storm, random, reading } = stormy;
  await sleep(CALM_MS);
  const before = rssBytesOf(service.pidOf('coordinator'));
  for (let stop = 0; stop < STOPS && !storm.failed; stop += 1) {
    // Of two replicas the other one has to be there.
    await becomeLevel(service);
    const pid = service.pidOf(random.pick(service.workerNames));
    process.kill(pid, 'SIGSTOP');
    await sleep(STOP_MS);
    process.kill(pid, 'SIGCONT');
    await sleep(CALM_MS);
  }
  await endStorm(t, stormy);
  const grown = rssBytesOf(service.pidOf('coordinator')) - before;
  t.diagnostic(`the coordinator grew by ${Math.round(grown / 2 ** 20)} MiB`);
  t.diagnostic(`the longest read took ${Math.round(storm.latencyMs(1))} ms`);
  assert.ok(grown <= GROWTH_MAX_BYTES, `${grown} bytes`);
  assert.equal(reading.refusals.size, 0, JSON.stringify([...reading.refusals]));
});

const DIMENSION = 256;
/** Points of one write; with their numbers a body of 4 MB. */
const POINTS = 1_500;
/** Less than a worker does: so what is under way when it is stopped is what came since. */
const WRITE_EVERY_MS = 200;
const WARM_MS = 2_500;
const HANG_MS = 6_000;
/** Until a worker that was stopped counts as silent, and what was read by then has been refused. */
const NOTICED_MS = 3_000;
const REFUSED_WITHIN_MS = 2_000;

test('large writes to the only replica, which hangs, do not fill the coordinator', async (t) => {
  const service = await startService(t, { workers: 1 });
  await service.fetch('PUT', '/collections/large', {
    vectors: { size: DIMENSION, distance: 'Euclid' },
    replication_factor: 1,
  });
  const [coordinator, worker] = [service.pidOf('coordinator'), service.pidOf('worker-1')];
  const load = new LargeWrites(service);
  await load.run(WARM_MS);
  const before = rssBytesOf(coordinator);
  process.kill(worker, 'SIGSTOP');
  const stoppedAtMs = systemClock.monotonicMs();
  let highest = before;
  await load.run(HANG_MS, () => {
    highest = Math.max(highest, rssBytesOf(coordinator));
  });
  process.kill(worker, 'SIGCONT');
  let tries = 0;
  while ((await load.write()) !== 200 && tries < 100) {
    tries += 1;
    await sleep(100);
  }
  await load.ended();
  const after = rssBytesOf(coordinator);
  const mib = [before, highest, after].map((bytes) => Math.round(bytes / 2 ** 20));
  t.diagnostic(`the coordinator took ${mib.join(', ')} MiB: before, at most, after`);
  t.diagnostic(JSON.stringify(Object.fromEntries(load.statuses)));
  assert.ok(Math.max(highest, after) - before <= GROWTH_MAX_BYTES, mib.join(', '));
  assert.deepEqual([...load.statuses.keys()].sort(), [200, 503]);
  assert.ok(tries < 100, 'it takes writes again');
  const late = load.refusals.filter(({ atMs }) => {
    return atMs >= stoppedAtMs + NOTICED_MS && atMs < stoppedAtMs + HANG_MS;
  });
  assert.ok(late.length > 0, 'some were refused');
  const tookMs = Math.max(...late.map(({ ms }) => ms));
  assert.ok(tookMs <= REFUSED_WITHIN_MS, `a refusal took ${tookMs} ms`);
  await load.check();
});

/** Writes of new points at a steady pace, whatever becomes of those before. */
class LargeWrites {
  readonly statuses = new Map<number, number>();
  readonly refusals: { atMs: number; ms: number }[] = [];
  readonly #service: Service;
  readonly #acknowledged: number[] = [];
  readonly #underWay = new Set<Promise<number>>();
  readonly #vectors: string;
  #firstId = 0;

  constructor(service: Service) {
    this.#service = service;
    const numbers = Array.from({ length: POINTS * DIMENSION }, (_, i) => Math.sin(i).toFixed(7));
    const vectors = Array.from({ length: POINTS }, (_, i) => {
      return `[${numbers.slice(i * DIMENSION, (i + 1) * DIMENSION).join()}]`;
    });
    this.#vectors = `[${vectors.join()}]`;
  }

  async run(ms: number, look?: () => void): Promise<void> {
    const endMs = systemClock.monotonicMs() + ms;
    while (systemClock.monotonicMs() < endMs) {
      const writing = this.write().finally(() => this.#underWay.delete(writing));
      this.#underWay.add(writing);
      await sleep(WRITE_EVERY_MS);
      look?.();
    }
  }

  async write(): Promise<number> {
    const firstId = this.#firstId;
    this.#firstId += POINTS;
    const body = `{"batch":{"ids":[${idsFrom(firstId)}],"vectors":${this.#vectors}}}`;
    const atMs = systemClock.monotonicMs();
    const answer = await this.#service.fetch('PUT', '/collections/large/points', body);
    await answer.arrayBuffer();
    const { status } = answer;
    this.statuses.set(status, (this.statuses.get(status) ?? 0) + 1);
    if (status === 200) this.#acknowledged.push(firstId);
    else {
      assert.match(answer.headers.get('retry-after') ?? '', /^[1-9]/);
      this.refusals.push({ atMs, ms: systemClock.monotonicMs() - atMs });
    }
    return status;
  }

  async ended(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  /** Every point of every write that was acknowledged is there. */
  async check(): Promise<void> {
    for (const firstId of this.#acknowledged) {
      const ask = { ids: idsFrom(firstId), with_payload: false, with_vector: false };
      const answer = await this.#service.fetch('POST', '/collections/large/points', ask);
      const { result } = (await answer.json()) as { result: unknown[] };
      assert.equal(result.length, POINTS, `points from ${firstId} on`);
    }
  }
}

function idsFrom(first: number): number[] {
  return Array.from({ length: POINTS }, (_, i) => first + i);
}

function rssBytesOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1_024;
}
