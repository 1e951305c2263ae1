/**
 * Workers die by SIGKILL one after the other, under writers and readers, and nobody notices: no
 * acknowledged write is lost, nothing comes back that was deleted, and no query fails. The next one
 * dies when the one before has caught up, for with two replicas one has to be there.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { byProfile } from '../harness/profile.ts';
import { becomeLevel, endStorm, startStorm } from './storm-service.ts';

const KILLS = byProfile(4, 100);
const PAUSE_MS_MIN = 2_000;
const PAUSE_MS_MAX = 5_000;

test('workers die one after the other, and no query fails and no write is lost', async (t) => {
  const stormy = await startStorm(t, { seed: 20_261_127, patience: { reads: false } });
  const { service, storm, random, reading } = stormy;
  for (let kill = 0; kill < KILLS && !storm.failed; kill += 1) {
    await sleep(PAUSE_MS_MIN + random.below(PAUSE_MS_MAX - PAUSE_MS_MIN));
    await becomeLevel(service);
    await service.killAndWait(random.pick(service.workerNames));
  }
  await endStorm(t, stormy);
  assert.equal(reading.refusals.size, 0, JSON.stringify([...reading.refusals]));
});
