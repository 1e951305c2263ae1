/** What a shard promises while all goes well, and when it is opened again. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import {
  descriptor,
  inTime,
  nearest,
  nextVersion,
  ODD,
  range,
  remove,
  request,
  SHARD,
  ShardRig,
  untilLinked,
  upsert,
  vectorOf,
} from '../../test/shard/shard-rig.ts';

const seed = 20_261_122;
const random = new SeededRandom(seed);

test('written points are found at once, with and without filter and index', async (t) => {
  t.diagnostic(`seed ${seed}`);
  const rig = await ShardRig.start(t);
  const shard = await rig.create();
  for (let at = 0; at < 600; at += 100) {
    await upsert(shard, range(at, at + 100));
    const id = at + random.below(100);
    assert.equal((await nearest(shard, id))[0], id, 'acknowledged means searchable');
  }
  const unindexed = await nearest(shard, 7, { filter: ODD, limit: 50 });
  assert.ok(unindexed.length === 50 && unindexed.every((id) => Number(id) % 2 === 1));
  await rig.registry.configure(descriptor({ payloadIndexes: { odd: 'bool' } }));
  assert.deepEqual(await nearest(shard, 7, { filter: ODD, limit: 50 }), unindexed);
  assert.deepEqual(shard.reads.status().payloadIndexPoints, { odd: 600 });
  await untilLinked(shard);
  assert.equal(shard.reads.status().indexed, 600);
  assert.equal((await shard.reads.count(ODD, true, inTime())).count, 300);
});

test('a point found by its own id is not its own neighbour', async (t) => {
  const shard = await (await ShardRig.start(t)).create();
  await upsert(shard, range(0, 20));
  const found = await nearest(shard, 0, { target: { kind: 'point', id: 5 }, limit: 20 });
  assert.equal(found.length, 19);
  assert.ok(!found.includes(5));
  await assert.rejects(nearest(shard, 0, { target: { kind: 'point', id: 99 } }), /99/);
});

test('a search by vector can leave a point out, whose vector it is', async (t) => {
  const shard = await (await ShardRig.start(t)).create();
  await upsert(shard, range(0, 20));
  const byId = await nearest(shard, 0, { target: { kind: 'point', id: 5 }, limit: 20 });
  assert.deepEqual(
    await nearest(shard, 5, { target: { kind: 'vector', exclude: 5 } }),
    byId.slice(0, 3),
  );
  const all = await nearest(shard, 5, { limit: 20 });
  const absent = { target: { kind: 'vector', exclude: 99 }, limit: 20 } as const;
  assert.deepEqual(await nearest(shard, 5, absent), all);
});

test('equal scores are in the order of ids, page after page, whatever came first', async (t) => {
  const shard = await (await ShardRig.start(t)).create();
  // 600 points with three vectors; the labels go against the ids, and a graph is built.
  const ids = range(0, 600).toReversed();
  const seedOf = (id: number) => id % 3;
  for (let at = 0; at < ids.length; at += 100) await upsert(shard, ids.slice(at, at + 100), seedOf);
  await untilLinked(shard);
  const scores = [0, 1, 2].map((seed) =>
    vectorOf(seed).reduce((sum, x, i) => sum + x * (vectorOf(0)[i] ?? 0), 0),
  );
  const groups = [0, 1, 2].toSorted((a, b) => (scores[b] ?? 0) - (scores[a] ?? 0));
  const expected = groups.flatMap((group) => range(0, 600).filter((id) => seedOf(id) === group));
  for (const filter of [undefined, ODD]) {
    const order = expected.filter((id) => filter === undefined || id % 2 === 1);
    for (const exact of [true, false]) {
      for (const limit of [1, 7, 150, 250]) {
        for (let offset = 0; offset < order.length; offset += limit * 3) {
          const found = await nearest(shard, 0, {
            exact,
            limit,
            offset,
            ...(filter && { filter }),
          });
          assert.deepEqual(
            found,
            order.slice(offset, offset + limit),
            `${exact} ${limit} ${offset}`,
          );
        }
      }
    }
  }
});

for (const save of [true, false]) {
  test(`a shard opens again ${save ? 'from its image' : 'from its rows'}`, async (t) => {
    const rig = await ShardRig.start(t);
    let shard = await rig.create({ payloadIndexes: { odd: 'bool' } });
    await upsert(shard, range(0, 500));
    await untilLinked(shard);
    shard = await rig.restart(save);
    await upsert(shard, range(500, 510));
    await remove(shard, { kind: 'ids', ids: [3, 4] });
    shard = await rig.restart(false);
    assert.equal(shard.reads.status().points, 508);
    for (const id of [0, 5, 499, 505]) assert.equal((await nearest(shard, id))[0], id);
    for (const id of [3, 4]) assert.ok(!(await nearest(shard, id, { limit: 508 })).includes(id));
    assert.equal((await shard.reads.count(ODD, true, inTime())).count, 254);
  });
}

test('a damaged image is not served and not fatal', async (t) => {
  t.diagnostic(`seed ${seed}`);
  const rig = await ShardRig.start(t);
  let shard = await rig.create();
  await upsert(shard, range(0, 400));
  await untilLinked(shard);
  const image = path.join(shard.folder, 'index.img');
  await rig.close(true);
  const bytes = await readFile(image);
  for (let round = 0; round < 8; round += 1) {
    const damaged = Buffer.from(bytes);
    const at = random.below(bytes.length);
    damaged[at] = (damaged[at] ?? 0) ^ (1 << random.below(8));
    await writeFile(image, damaged.subarray(0, round === 7 ? at : damaged.length));
    await rig.open();
    shard = await rig.registry.shard(SHARD);
    assert.equal(shard.reads.status().points, 400);
    for (const id of [0, 200, 399]) assert.equal((await nearest(shard, id))[0], id);
    await rig.close(false);
  }
  await rig.open();
});

test('removed vectors leave the image after a while, though little has changed', async (t) => {
  const rig = await ShardRig.start(t);
  await rig.create();
  await rig.close(false);
  await rig.open({ purgeAfterMs: 200 });
  const shard = await rig.registry.shard(SHARD);
  await upsert(shard, range(0, 400));
  await untilLinked(shard);
  const image = path.join(shard.folder, 'index.img');
  const holds = async (id: number) => {
    const bytes = await readFile(image).catch(() => Buffer.alloc(0));
    return bytes.includes(Buffer.from(vectorOf(id).buffer));
  };
  const until = async (id: number, held: boolean) => {
    const deadline = Deadline.after(systemClock, 10_000);
    while ((await holds(id)) !== held) {
      assert.ok(!deadline.expired, `vector ${id} is ${held ? 'not ' : ''}in the image`);
      await sleep(20);
    }
  };
  await until(7, true);
  await remove(shard, { kind: 'ids', ids: [7] });
  await until(7, false);
  assert.ok(await holds(8));
  // Without a graph there is no image, and an old one goes, too.
  await remove(shard, { kind: 'ids', ids: range(8, 400) });
  await until(8, false);
});

test('a new graph configuration takes effect and loses nothing', async (t) => {
  const rig = await ShardRig.start(t);
  const shard = await rig.create();
  await upsert(shard, range(0, 300));
  const { vector } = descriptor().config;
  const config = { vector, hnsw: { m: 8, efConstruct: 50 } };
  const writing = upsert(shard, range(300, 400));
  await rig.registry.configure(descriptor({ config }));
  await writing;
  await untilLinked(shard);
  for (const id of [0, 299, 300, 399]) assert.equal((await nearest(shard, id))[0], id);
  assert.equal((await rig.restart(true)).descriptor.config.hnsw.m, 8);
});

test('a reply is bounded, and so is what is read for it', async (t) => {
  const shard = await (await ShardRig.start(t)).create();
  const ids = range(0, 70);
  const vectors = new Float32Array(ids.length * vectorOf(0).length);
  for (const id of ids) vectors.set(vectorOf(id), id * vectorOf(0).length);
  const payload = Buffer.from(JSON.stringify({ text: 'x'.repeat(2 ** 20 - 12) }));
  const payloads = ids.map(() => payload);
  await shard.upsert({ version: nextVersion(shard), ids, payloads }, { '': vectors });
  const all = { payload: { kind: 'all' as const }, withVector: false };
  await assert.rejects(shard.reads.scroll({ ...all, limit: 70 }, inTime()), /larger than 64 MiB/);
  await assert.rejects(shard.reads.retrieve({ ...all, ids }, inTime()), /larger than 64 MiB/);
  const searches = [request({ ...all, limit: 70 })];
  await assert.rejects(shard.reads.query({ searches }, vectorOf(1), inTime()), /64 MiB/);
  const { body } = await shard.reads.scroll({ ...all, limit: 60 }, inTime());
  assert.equal(body.records.ids.length, 60);
});

test('a dropped shard is gone with its files, and its place can be taken again', async (t) => {
  const rig = await ShardRig.start(t);
  const shard = await rig.create();
  await upsert(shard, [1]);
  await rig.registry.drop(SHARD, descriptor().place);
  await rig.registry.drop(SHARD, descriptor().place);
  await assert.rejects(rig.registry.shard(SHARD), { code: 'unavailable' });
  await assert.rejects(readFile(path.join(shard.folder, 'points.db')), { code: 'ENOENT' });
  assert.equal((await rig.create()).reads.status().points, 0);
});
