/** A shard's files on the cold disk: what is answered there, what brings them back, and what becomes of faults. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { ManualClock, systemClock } from '../../../shared/base/clock.ts';
import { Deadline } from '../../../shared/base/deadline.ts';
import type { AppError } from '../../../shared/errors/app-error.ts';
import { recordingLog } from '../../../test/harness/recording-log.ts';
import {
  descriptor,
  inTime,
  nearest,
  range,
  SHARD,
  ShardRig,
  untilLinked,
  upsert,
} from '../../../test/shard/shard-rig.ts';
import type { Shard } from '../shard.ts';
import type { ColdFacts } from './cold-home.ts';
import { ColdShards } from './cold-shards.ts';

const DAY_MS = 86_400_000;

async function warm({ registry }: ShardRig): Promise<Shard> {
  await registry.warming(SHARD, inTime());
  return registry.shard(SHARD);
}

async function filled(rig: ShardRig, points = 400): Promise<string> {
  const shard = await rig.create();
  for (let at = 0; at < points; at += 100) await upsert(shard, range(at, at + 100));
  await untilLinked(shard);
  return shard.folder;
}

/** Where the files of the one shard are cold. */
async function coldFolder(rig: ShardRig, folder: string): Promise<string> {
  const data = path.dirname(rig.coldDir);
  return path.join(rig.coldDir, path.relative(data, folder));
}

test('what is frozen is on the cold disk only, tells what it holds, and is as it was when it is back', async (t) => {
  const rig = await ShardRig.start(t);
  const folder = await filled(rig);
  const { registry } = rig;
  const held = await registry.usage(SHARD);
  const before = await registry.status(SHARD);
  const found = await nearest(await registry.shard(SHARD), 7, { limit: 20 });
  await registry.freeze(SHARD);
  await registry.freeze(SHARD);
  assert.deepEqual((await readdir(folder)).toSorted(), ['cold.json', 'shard.json']);
  const cold = await coldFolder(rig, folder);
  const packed = ['index.img.zst', 'manifest.json', 'points.db.zst'];
  assert.deepEqual((await readdir(cold)).toSorted(), packed);
  for (const restarted of [false, true]) {
    if (restarted) {
      await rig.close(true);
      await rig.open();
    }
    assert.deepEqual(await rig.registry.usage(SHARD), held);
    const status = await rig.registry.status(SHARD);
    assert.deepEqual(
      [status.state, status.points, status.indexed, status.memoryBytes],
      ['cold', before.points, before.indexed, 0],
    );
    await rig.registry.verify(SHARD);
    assert.equal(rig.registry.coldCount, 1, 'none of that brings it back');
  }
  assert.deepEqual(await nearest(await warm(rig), 7, { limit: 20 }), found);
  assert.equal(existsSync(cold), false);
  assert.equal(existsSync(path.join(folder, 'cold.json')), false);
  await upsert(await rig.registry.shard(SHARD), [9_000]);
  assert.equal((await rig.registry.usage(SHARD)).points, held.points + 1);
});

test('a request ends a freezing that is under way, and many that wait share one thawing', async (t) => {
  const { log, saw } = recordingLog();
  const rig = await ShardRig.start(t, log);
  await filled(rig);
  const frozen = rig.registry.freeze(SHARD);
  await new Promise(setImmediate);
  const ended = assert.rejects(frozen, (error) => (error as AppError).code === 'conflict');
  assert.equal((await nearest(await warm(rig), 3))[0], 3);
  await ended;
  assert.equal(rig.registry.coldCount, 0);
  await rig.registry.freeze(SHARD);
  const all = await Promise.all(Array.from({ length: 100 }, () => warm(rig)));
  assert.equal(new Set(all).size, 1);
  assert.equal(saw('shard_thawed').length, 1);
});

test('who can not wait hears that it is waking, and it wakes all the same', async (t) => {
  const rig = await ShardRig.start(t);
  await filled(rig);
  await rig.registry.freeze(SHARD);
  const late = rig.registry.warming(SHARD, Deadline.after(systemClock, 1));
  await assert.rejects(Promise.resolve(late), (error) => (error as AppError).code === 'waking');
  assert.equal((await nearest(await warm(rig), 3))[0], 3);
});

test('a dropped shard leaves neither home', async (t) => {
  const rig = await ShardRig.start(t);
  const folder = await filled(rig);
  const { place } = (await rig.registry.shard(SHARD)).descriptor;
  await rig.registry.freeze(SHARD);
  await rig.registry.drop(SHARD, place);
  assert.equal(existsSync(folder) || existsSync(await coldFolder(rig, folder)), false);
  assert.equal(rig.registry.size + rig.registry.coldCount, 0);
});

test('rot on the cold disk is found, reported, and never taken for data', async (t) => {
  for (const name of ['points.db.zst', 'index.img.zst', 'cold.json']) {
    const { log, saw } = recordingLog();
    const rig = await ShardRig.start(t, log);
    const folder = await filled(rig);
    await rig.registry.freeze(SHARD);
    const cold = await coldFolder(rig, folder);
    const file = path.join(name === 'cold.json' ? folder : cold, name);
    const bytes = await readFile(file);
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 4;
    await writeFile(file, bytes);
    await rig.close(false);
    await rig.open();
    const verified = rig.registry.verify(SHARD);
    // The other copy of what is there says the same, and the image is made again.
    if (name !== 'points.db.zst') await verified;
    else await assert.rejects(verified, /not what was packed|ZSTD|Z_/);
    assert.equal(saw('cold_scrub_failed').length, name === 'index.img.zst' ? 1 : 0);
    assert.deepEqual(rig.registry.damaged, []);
    if (name === 'points.db.zst') {
      await assert.rejects(warm(rig), /not what was packed|ZSTD|Z_/);
      assert.equal(existsSync(path.join(cold, name)), true, 'it is left for whoever can mend it');
    } else {
      assert.equal((await nearest(await warm(rig), 5))[0], 5, `${name} is made anew`);
    }
    assert.equal(saw('shard_dropped').length, 0);
  }
});

test('a cold disk that is not there makes its shards unavailable, not damaged, and comes back', async (t) => {
  const rig = await ShardRig.start(t);
  await filled(rig);
  await rig.registry.freeze(SHARD);
  await rename(rig.coldDir, `${rig.coldDir}.away`);
  for (const ask of [() => warm(rig), () => rig.registry.verify(SHARD)]) {
    await assert.rejects(ask(), (error) => (error as AppError).code === 'unavailable');
  }
  assert.deepEqual(rig.registry.damaged, []);
  await rename(`${rig.coldDir}.away`, rig.coldDir);
  assert.equal((await nearest(await warm(rig), 5))[0], 5);
});

test('the copy that an interrupted move has left in the other home goes at the next start', async (t) => {
  const rig = await ShardRig.start(t);
  const folder = await filled(rig);
  await rig.close(true);
  const hot = `${folder}.kept`;
  await cp(folder, hot, { recursive: true });
  await rig.open();
  await rig.registry.freeze(SHARD);
  const cold = await coldFolder(rig, folder);
  await rig.close(true);
  // Cold by its stub, with files that were not removed any more.
  await cp(path.join(hot, 'points.db'), path.join(folder, 'points.db'));
  await rig.open();
  assert.equal(existsSync(path.join(folder, 'points.db')), false);
  assert.equal(rig.registry.coldCount, 1);
  await rig.close(true);
  // Hot, with a packed copy that did not become its home.
  await rm(folder, { recursive: true });
  await rename(hot, folder);
  await rig.open();
  assert.equal(existsSync(cold), false);
  assert.equal((await nearest(await warm(rig), 5))[0], 5);
});

test('rows from a backup do not take a newer cold copy away', async (t) => {
  const rig = await ShardRig.start(t);
  const folder = await filled(rig);
  await rig.close(true);
  const backup = `${folder}.kept`;
  await cp(folder, backup, { recursive: true });
  await rig.open();
  await upsert(await rig.registry.shard(SHARD), [9_000]);
  await rig.registry.freeze(SHARD);
  const cold = await coldFolder(rig, folder);
  await rig.close(true);
  await rm(folder, { recursive: true });
  await rename(backup, folder);
  await rig.open();
  assert.equal(existsSync(path.join(cold, 'points.db.zst')), true);
  assert.equal((await nearest(await warm(rig), 5))[0], 5);
});

test('what is cold and has lost its stub is cold, since it is nowhere else', async (t) => {
  const rig = await ShardRig.start(t);
  const folder = await filled(rig);
  await rig.registry.freeze(SHARD);
  await rig.close(true);
  await rm(path.join(folder, 'cold.json'));
  await rig.open();
  assert.equal(rig.registry.coldCount, 1);
  assert.equal(existsSync(path.join(folder, 'cold.json')), true);
  assert.equal((await nearest(await warm(rig), 5))[0], 5);
});

test('what is cold is read when it is due, also by a worker that starts every day', async (t) => {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'bulkhead-cold-'));
  const coldDir = path.join(dataDir, 'cold');
  const folder = path.join(dataDir, 'clients', 'a', 'live', 'b', 'c.1', '0');
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, 'points.db'), 'rows');
  const { log, saw } = recordingLog();
  const clock = new ManualClock(systemClock.now());
  const damaged = Promise.withResolvers<void>();
  const start = async () => {
    const deps = { clock, log, onDamage: () => damaged.resolve(), versionOf: () => 0 };
    const shards = new ColdShards(deps, { dataDir, coldDir, verifyEveryMs: 7 * DAY_MS });
    await shards.find(SHARD, folder);
    return shards;
  };
  let shards = await start();
  t.after(async () => {
    await shards.close();
    await rm(dataDir, { recursive: true });
  });
  const held = { version: 1, points: 0, bytes: 0 };
  const facts = { shardId: SHARD, held, newestNote: 0, status: {} } as unknown as ColdFacts;
  await shards.freeze(SHARD, folder, async () => facts);
  const nextDay = async () => {
    clock.advance(DAY_MS);
    await shards.close();
    shards = await start();
  };
  for (let day = 1; day <= 5; day += 1) await nextDay();
  await shards.verify(SHARD);
  const packed = path.join(coldDir, path.relative(dataDir, folder), 'points.db.zst');
  await writeFile(packed, 'rot');
  for (let day = 1; day <= 6; day += 1) {
    await nextDay();
    clock.advance(60_000);
  }
  await shards.close();
  assert.equal(saw('cold_scrub_failed').length, 0, 'it was read six days ago');
  await nextDay();
  clock.advance(60_000);
  await damaged.promise;
});

test('an empty folder in the place of the cold disk takes nothing, and loses nothing', async (t) => {
  const rig = await ShardRig.start(t);
  const folder = await filled(rig);
  const { registry } = rig;
  const { place } = (await registry.shard(SHARD)).descriptor;
  await registry.freeze(SHARD);
  const other = { ...place, ordinal: 1 };
  const shardId = `${SHARD.slice(0, -1)}9` as typeof SHARD;
  await registry.create(descriptor({ shardId, place: other }));
  await rename(rig.coldDir, `${rig.coldDir}.away`);
  await mkdir(rig.coldDir);
  for (const ask of [
    () => warm(rig),
    () => registry.verify(SHARD),
    () => registry.freeze(shardId),
    () => registry.drop(SHARD, place),
  ]) {
    await assert.rejects(ask(), (error) => (error as AppError).code === 'unavailable');
  }
  assert.deepEqual(await readdir(rig.coldDir), []);
  await rm(rig.coldDir, { recursive: true });
  await rename(`${rig.coldDir}.away`, rig.coldDir);
  await registry.drop(SHARD, place);
  assert.equal(existsSync(await coldFolder(rig, folder)), false);
});

test('what was on a cold disk that is lost is damage, which another copy mends', async (t) => {
  const rig = await ShardRig.start(t);
  await filled(rig);
  await rig.registry.freeze(SHARD);
  await rm(rig.coldDir, { recursive: true });
  await assert.rejects(rig.registry.verify(SHARD), (error) => {
    return (error as AppError).code === 'unavailable';
  });
  // The operator says that the disk is lost.
  await rm(path.join(path.dirname(rig.coldDir), 'cold.id'));
  await assert.rejects(rig.registry.verify(SHARD), /what was cold is not there/);
});
