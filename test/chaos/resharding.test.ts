/**
 * A collection gets other numbers of shards under writers and readers, while workers and the
 * coordinator die by SIGKILL: no acknowledged write is lost, no answer shows what was not there, and in
 * the end the folders of the old shards are gone.
 */
import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { basename } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../shared/base/clock.ts';
import { byProfile } from '../harness/profile.ts';
import { runJson } from '../harness/run-command.ts';
import { WholeLog } from '../harness/whole-log.ts';
import { endStorm, NAME, type Stormy, startStorm } from './storm-service.ts';

const NUMBERS = byProfile(1, 6);
const PAUSE_MS_MAX = byProfile(1_200, 3_000);
/** Kills under one change: later ones give it the time to end. */
const KILLS_MAX = byProfile(2, 8);
const LOOK_MS = 50;
const CHANGE_MS_MAX = 120_000;
const ERASE_MS_MAX = 40_000;
/** Reads of old shards end soon, and their files may go. */
const ENV = { BULKHEAD_REQUEST_TIMEOUT_MS: '3000', BULKHEAD_QUERY_TIMEOUT_MS: '3000' };

interface Description {
  config: { params: { shard_number: number } };
  resharding?: { from: number; to: number; points_copied: number };
}

test('shards are divided and joined while processes die, and no write is lost', async (t) => {
  const stormy = await startStorm(t, {
    seed: 20_261_131,
    patience: { reads: true },
    shards: 1,
    writers: byProfile(2, 3),
    env: ENV,
  });
  const { service, storm } = stormy;
  const log = new WholeLog(() => service.up.log);
  const times: number[] = [];
  for (let round = 0; round < NUMBERS && !storm.failed; round += 1) {
    for (const shards of [3, 2]) times.push(await reshard(stormy, shards, log));
  }
  await endStorm(t, stormy);
  await oldFoldersGone(stormy);
  log.read();
  const counts = ['failed', 'renewed', 'done'].map((what) => {
    return `${what} ${log.text.split(`resharding_${what}`).length - 1}`;
  });
  t.diagnostic(`changes took ${times.join(', ')} ms; ${counts.join(', ')}`);
  const paused = [...log.text.matchAll(/"pausedMs":(\d+)/g)].map(([, ms]) => ms);
  t.diagnostic(`writes were held up for ${paused.join(', ')} ms`);
});

/** Resolves to how long it took, in milliseconds. */
async function reshard(stormy: Stormy, shards: number, log: WholeLog): Promise<number> {
  const { service, storm, random, writing } = stormy;
  const startMs = systemClock.monotonicMs();
  await writing.call('PATCH', '', { params: { shard_number: shards } });
  let kills = 0;
  let killing: Promise<void> | undefined;
  let nextMs = startMs + random.below(PAUSE_MS_MAX);
  while (!storm.failed) {
    log.read();
    const { config, resharding } = (await writing.call('GET', '')) as Description;
    assert.equal(config.params.shard_number, shards);
    if (resharding === undefined) break;
    const nowMs = systemClock.monotonicMs();
    assert.ok(nowMs - startMs < CHANGE_MS_MAX, `still ${JSON.stringify(resharding)}`);
    if (kills < KILLS_MAX && nowMs >= nextMs) {
      await killing;
      // They take turns, so that both die in every change.
      const name = kills % 2 === 0 ? 'coordinator' : random.pick(service.workerNames);
      killing = service.killAndWait(name);
      kills += 1;
      nextMs = nowMs + random.below(PAUSE_MS_MAX);
    }
    await sleep(LOOK_MS);
  }
  await killing;
  return Math.round(systemClock.monotonicMs() - startMs);
}

/** The disks have a folder for each replica that there is, and no other. */
async function oldFoldersGone({ service }: Stormy): Promise<void> {
  const startMs = systemClock.monotonicMs();
  for (;;) {
    const replicas = await runJson(service, ['replicas']);
    const wanted = replicas.map(({ ordinal }) => Number(ordinal)).sort(byNumber);
    const folders = globSync(`${service.dataFolder}/worker-*/clients/*/*/*/${NAME}.*/*`);
    const there = folders.map((folder) => Number(basename(folder))).sort(byNumber);
    if (String(there) === String(wanted)) return;
    const waitedMs = systemClock.monotonicMs() - startMs;
    assert.ok(waitedMs < ERASE_MS_MAX, `there are ${there}, wanted are ${wanted}`);
    await sleep(20 * LOOK_MS);
  }
}

const byNumber = (a: number, b: number) => a - b;
