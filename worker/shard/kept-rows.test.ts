/** A real shard keeps rows for its searches (`recent-rows.ts`), and no answer shows an old one. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { must } from '../../shared/base/assert.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Request } from '../../shared/protocol/messages.ts';
import type { Written } from '../../shared/protocol/schema.ts';
import {
  inTime,
  nearest,
  nextVersion,
  range,
  remove,
  request,
  SHARD,
  ShardRig,
  vectorOf,
} from '../../test/shard/shard-rig.ts';
import type { PointsReader } from '../points/points-reader.ts';
import type { Shard } from './shard.ts';

/** As many as make the index large enough for rows to be kept. */
const IDS = range(0, 4_000);

interface Started {
  rig: ShardRig;
  shard: Shard;
  /** Reads of rows since it was asked last. */
  reads: () => number;
  /** While set, a shard can not catch up with its rows. */
  broken: { stats: boolean };
}

async function start(t: TestContext): Promise<Started> {
  const rig = await ShardRig.start(t);
  const shard = await rig.create();
  for (const from of IDS.filter((id) => id % 500 === 0))
    await put(shard, range(from, from + 500), 0);
  const { store } = rig;
  const broken = { stats: false };
  let count = 0;
  const reader = store.reader.bind(store);
  store.reader = (folder) => {
    const real = reader(folder);
    return new Proxy(real, {
      get(_, name: keyof PointsReader) {
        if (name === 'byLabels') count += 1;
        if (name === 'stats' && broken.stats) throw new Error('the disk does not answer');
        const member: unknown = Reflect.get(real, name, real);
        return typeof member === 'function' ? member.bind(real) : member;
      },
    });
  };
  const reads = () => {
    const since = count;
    count = 0;
    return since;
  };
  return { rig, shard, reads, broken };
}

function payloadsOf(ids: number[], generation: number): Buffer[] {
  return ids.map((id) => Buffer.from(JSON.stringify({ id, generation })));
}

function put(shard: Shard, ids: number[], generation: number): Promise<Written> {
  const vectors = Float32Array.from(ids.flatMap((id) => [...vectorOf(id)]));
  const points = { version: nextVersion(shard), ids, payloads: payloadsOf(ids, generation) };
  return shard.upsert(points, { '': vectors });
}

function setting(shard: Shard, ids: number[], payload: Buffer): Request<'payload-update'> {
  const points = { kind: 'ids', ids } as const;
  return { version: nextVersion(shard), points, change: { kind: 'set', payload } };
}

/** The same vectors, by each of the ways in which a payload can change. */
function change(shard: Shard, ids: number[], generation: number): Promise<Written> {
  if (generation % 2 === 0) return put(shard, ids, generation);
  const payload = Buffer.from(JSON.stringify({ generation }));
  return shard.updatePayload(setting(shard, ids, payload), inTime());
}

async function generationOf(shard: Shard, id: number): Promise<number> {
  const searches = [request({ limit: 1, payload: { kind: 'all' } })];
  const { body } = await shard.reads.query({ searches }, vectorOf(id), inTime());
  const payload = must(body.results[0]?.records.payloads?.[0], 'there is a payload');
  const found = JSON.parse(Buffer.from(payload).toString()) as { id: number; generation: number };
  assert.equal(found.id, id);
  return found.generation;
}

/** Searches for the point until a search reads no row, which has to be the second. */
async function assertKept({ shard, reads }: Started, id: number): Promise<void> {
  await generationOf(shard, id);
  reads();
  await generationOf(shard, id);
  assert.equal(reads(), 0, 'the row is kept');
}

test('searches show the payloads that were acknowledged last', async (t) => {
  const seed = 20_261_126;
  t.diagnostic(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const started = await start(t);
  const { shard } = started;
  const generations = new Map(IDS.map((id) => [id, 0]));
  for (let round = 1; round <= 200; round += 1) {
    const changed = [...new Set(Array.from({ length: 3 }, () => random.below(IDS.length)))];
    // Before and after, so that they are kept when they change.
    for (const id of changed) assert.equal(await generationOf(shard, id), generations.get(id));
    for (const id of changed) generations.set(id, round);
    await change(shard, changed, round);
    for (const id of changed) assert.equal(await generationOf(shard, id), round);
  }
  await assertKept(started, 5);
});

test('a write that was refused leaves rows kept', async (t) => {
  const started = await start(t);
  const payload = Buffer.from('{"a":1}');
  const { shard } = started;
  const refused = shard.updatePayload(setting(shard, [123_456], payload), inTime());
  await assert.rejects(refused, { code: 'point_not_found' });
  const room = { points: 0, bytes: 0 };
  const one = { version: nextVersion(shard), ids: [123_456], payloads: [payload], room };
  const beyond = shard.upsert(one, { '': vectorOf(123_456) });
  await assert.rejects(beyond, { code: 'quota_exceeded' });
  await assertKept(started, 7);
});

test('a write without an outcome may be there: rows are read until all is level again', async (t) => {
  const started = await start(t);
  const { rig, shard, broken } = started;
  await assertKept(started, 7);
  const { store } = rig;
  const write = store.write.bind(store);
  store.write = async (folder, op) => {
    await write(folder, op);
    throw new AppError('write_outcome_unknown');
  };
  broken.stats = true;
  await assert.rejects(put(shard, [7], 1), { code: 'write_outcome_unknown' });
  for (let i = 0; i < 3; i += 1) assert.equal(await generationOf(shard, 7), 1);
  store.write = write;
  broken.stats = false;
  await put(shard, [8], 2);
  await shard.idle();
  assert.deepEqual([await generationOf(shard, 7), await generationOf(shard, 8)], [1, 2]);
  await assertKept(started, 7);
});

test('a label that is used again names the new point, also without payloads', async (t) => {
  const { shard } = await start(t);
  for (let round = 0; round < 20; round += 1) {
    const [gone] = await nearest(shard, round);
    assert.equal(gone, round);
    await remove(shard, { kind: 'ids', ids: [round] });
    const id = 10_000 + round;
    const point = { version: nextVersion(shard), ids: [id], payloads: payloadsOf([id], 0) };
    await shard.upsert(point, { '': vectorOf(round) });
    assert.equal((await nearest(shard, round))[0], id);
  }
});

test('a purge lets go of the rows that were deleted', async (t) => {
  const { rig, shard } = await start(t);
  const bare = shard.reads.status().memoryBytes;
  await generationOf(shard, 7);
  assert.ok(shard.reads.status().memoryBytes > bare, 'a row is kept');
  await remove(shard, { kind: 'ids', ids: [7] });
  const before = shard.reads.status().memoryBytes;
  (await rig.registry.shard(SHARD)).purge();
  assert.ok(shard.reads.status().memoryBytes < before, 'it is let go of');
});

test('a long list is no reason to forget what searches ask for', async (t) => {
  const started = await start(t);
  const { shard } = started;
  await assertKept(started, 7);
  const before = shard.reads.status().memoryBytes;
  const searches = [request({ limit: 500, payload: { kind: 'all' } })];
  await shard.reads.query({ searches }, vectorOf(1), inTime());
  assert.equal(shard.reads.status().memoryBytes, before, 'none of it is kept');
  await assertKept(started, 7);
});
