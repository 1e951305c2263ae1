/**
 * A worker that hangs (SIGSTOP): its connection stands, and nothing comes. Queries go elsewhere within
 * two seconds, the coordinator does not fill up, and when the worker goes on, nothing that it still
 * says meets a request that it was not asked for.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { byProfile } from '../harness/profile.ts';
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

function rssBytesOf(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1_024;
}
