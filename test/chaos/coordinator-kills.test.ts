/** The coordinator dies under load, alone and with all workers: what was acknowledged stays. */
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../shared/base/clock.ts';
import { byProfile } from '../harness/profile.ts';
import type { Service } from '../harness/service.ts';
import { endStorm, startStorm } from './storm-service.ts';

const COORDINATOR_KILLS = byProfile(2, 60);
const EVERY_MS = 5_000;
const TOTAL_KILLS = byProfile(1, 20);
const CALM_MS = 4_000;
const POLL_MS = 10;

test('the coordinator dies again and again, and no acknowledged write is lost', async (t) => {
  const stormy = await startStorm(t, { seed: 20_261_128, patience: { reads: true } });
  const { service, storm } = stormy;
  const gaps: number[] = [];
  for (let kill = 0; kill < COORDINATOR_KILLS && !storm.failed; kill += 1) {
    await sleep(EVERY_MS);
    const startMs = systemClock.monotonicMs();
    const [, answeredMs] = await Promise.all([
      service.killAndWait('coordinator'),
      firstAnswer(service),
    ]);
    gaps.push(Math.round(answeredMs - startMs));
  }
  await endStorm(t, stormy);
  t.diagnostic(`from the kill to the first answer: ${gaps.join(', ')} ms`);
});

test('all processes die at once, again and again, and no acknowledged write is lost', async (t) => {
  const stormy = await startStorm(t, { seed: 20_261_129, patience: { reads: true } });
  const { service, storm } = stormy;
  for (let kill = 0; kill < TOTAL_KILLS && !storm.failed; kill += 1) {
    await sleep(CALM_MS);
    const names = ['coordinator', ...service.workerNames];
    await Promise.all(names.map((name) => service.killAndWait(name)));
  }
  await endStorm(t, stormy);
});

/** When a search is answered after the coordinator that was there is gone. */
async function firstAnswer(service: Service): Promise<number> {
  const body = { query: Array.from({ length: 8 }, () => 1), limit: 1 };
  let isGone = false;
  for (;;) {
    try {
      const path = '/collections/struck/points/query';
      const { status } = await service.fetch('POST', path, body);
      if (isGone && status === 200) return systemClock.monotonicMs();
    } catch {
      isGone = true;
    }
    await sleep(POLL_MS);
  }
}
