/**
 * Bits of one worker's files change while it is down: rows, log, index image. Under writers and readers
 * nobody hears a wrong answer and no query fails; the copies are found out, by those who ask for them or
 * by the comparison, and made anew from the other ones.
 */
import assert from 'node:assert/strict';
import { closeSync, fstatSync, globSync, openSync, readSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SeededRandom } from '../../shared/base/random.ts';
import { byProfile } from '../harness/profile.ts';
import { runJson } from '../harness/run-command.ts';
import type { Service } from '../harness/service.ts';
import { becomeLevel, endStorm, startStorm } from './storm-service.ts';

const ROUNDS = byProfile(2, 200);
const BITS_MAX = byProfile(8, 10);
const BUSY_MS = 1_000;
const FILES = ['points.db', 'points.db', 'points.db-wal', 'index.img'];

test('damaged files of a replica are found and mended, and nobody hears of it', async (t) => {
  const stormy = await startStorm(t, { seed: 20_261_128, patience: { reads: false } });
  const { service, storm, random, reading } = stormy;
  const changed: Record<string, number> = {};
  let found = 0;
  for (let round = 0; round < ROUNDS && !storm.failed; round += 1) {
    await sleep(BUSY_MS);
    await becomeLevel(service);
    const worker = random.pick(service.workerNames);
    // As it is on the disk when the process dies: nothing folds the log or saves an image.
    process.kill(service.pidOf(worker), 'SIGSTOP');
    for (let bits = 1 + random.below(BITS_MAX); bits > 0; bits -= 1) {
      const name = random.pick(FILES);
      if (flip(service, worker, name, random)) changed[name] = (changed[name] ?? 0) + 1;
    }
    await service.killAndWait(worker);
    await becomeLevel(service);
    await runJson(service, ['replicas', 'compare', '--wait']);
    await becomeLevel(service);
    found += damagesIn(service.up.log);
  }
  t.diagnostic(`bits changed: ${JSON.stringify(changed)}; ${found} times found and mended`);
  await endStorm(t, stormy);
  assert.equal(reading.refusals.size, 0, JSON.stringify([...reading.refusals]));
  const restarts = service.up.events.filter(({ event }) => event === 'restarted');
  assert.equal(restarts.length, ROUNDS, 'no process died but those that were killed');
  assert.ok(found > 0, 'some damage was found');
});

/** Changes one bit of one shard's file; false when no shard of the worker has such a file. */
function flip(service: Service, worker: string, name: string, random: SeededRandom): boolean {
  const files = globSync(join(service.dataFolder, worker, 'clients', '**', name));
  if (files.length === 0) return false;
  const file = openSync(random.pick(files), 'r+');
  try {
    const { size } = fstatSync(file);
    if (size === 0) return false;
    const at = random.below(size);
    const byte = Buffer.alloc(1);
    readSync(file, byte, 0, 1, at);
    byte[0] = (byte[0] ?? 0) ^ (1 << random.below(8));
    writeSync(file, byte, 0, 1, at);
    return true;
  } finally {
    closeSync(file);
  }
}

/** How often the last lines tell of a damaged shard. */
function damagesIn(log: string): number {
  return log.split('"event":"shard_damaged"').length - 1;
}
