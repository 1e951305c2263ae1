/** Writes that take effect once, at an open shard, and what another replica is told of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../../shared/base/random.ts';
import { ONCE_DIGEST_BYTES, type Once, onceAfter } from '../../shared/protocol/once.ts';
import type { PointsSelector, Written } from '../../shared/protocol/schema.ts';
import { takeSeed } from '../../test/harness/seed.ts';
import { ReplicaPair, SOURCE, TARGET } from '../../test/shard/replica-pair.ts';
import {
  inTime,
  nearest,
  nextVersion,
  ODD,
  range,
  ShardRig,
  upsert,
  vectorOf,
} from '../../test/shard/shard-rig.ts';
import type { Shard } from './shard.ts';

const once = (key: number, request = 0): Once => ({
  key: new Uint8Array(ONCE_DIGEST_BYTES).fill(key),
  request: new Uint8Array(ONCE_DIGEST_BYTES).fill(request),
  at: 1_000_000,
});
const ODD_ONES: PointsSelector = { kind: 'filter', filter: ODD };

function remove(shard: Shard, points: PointsSelector, key: number): Promise<Written> {
  return shard.delete({ version: nextVersion(shard), points, once: once(key) }, inTime());
}

function setPayload(shard: Shard, points: PointsSelector, key: number, n: number) {
  const change = { kind: 'set' as const, payload: Buffer.from(JSON.stringify({ n })) };
  const version = nextVersion(shard);
  return shard.updatePayload({ version, points, change, once: once(key) }, inTime());
}

function put(shard: Shard, id: number, seed: number, key: number) {
  const body = { ids: [id], payloads: [null], once: once(key) };
  return shard.upsert({ version: nextVersion(shard), ...body }, { '': vectorOf(seed) });
}

test('a repetition changes neither rows nor what is searched', async (t) => {
  const rig = await ShardRig.start(t);
  let shard = await rig.create();
  await upsert(shard, range(0, 40));
  const first = await put(shard, 5, 505, 1);
  await put(shard, 5, 606, 2);
  const again = await put(shard, 5, 505, 1);
  assert.equal(again.repeated, first.version);
  assert.deepEqual(await nearest(shard, 606), await nearest(shard, 606, { exact: true }));
  assert.equal((await nearest(shard, 606))[0], 5);
  shard = await rig.restart(true);
  assert.equal((await put(shard, 5, 505, 1)).repeated, first.version);
  assert.equal((await nearest(shard, 606))[0], 5);
});

test('a change by filter is done once, whatever its points become, and if it finds none', async (t) => {
  const rig = await ShardRig.start(t);
  const shard = await rig.create();
  const none = await remove(shard, ODD_ONES, 1);
  assert.equal(none.repeated, undefined);
  await upsert(shard, range(0, 1_400));
  const again = await remove(shard, ODD_ONES, 1);
  assert.deepEqual([again.repeated, again.points, again.work?.changed], [none.version, 1_400, 0]);
  const many = await remove(shard, ODD_ONES, 2);
  assert.deepEqual([many.points, many.work?.changed], [700, 700]);
  await upsert(shard, range(0, 1_400));
  const repeated = await remove(shard, ODD_ONES, 2);
  assert.deepEqual([repeated.points, repeated.repeated], [1_400, many.version]);
  const byIds = await remove(shard, { kind: 'ids', ids: range(0, 1_200) }, 3);
  await upsert(shard, range(0, 3));
  const twice = await remove(shard, { kind: 'ids', ids: range(0, 1_200) }, 3);
  assert.deepEqual([twice.points, twice.repeated], [203, byIds.version]);
  await assert.rejects(
    shard.delete({ version: nextVersion(shard), points: ODD_ONES, once: once(3, 9) }, inTime()),
    { code: 'conflict' },
  );
});

test('a replica that is levelled knows what was done, by changes or by ranges', async (t) => {
  const random = new SeededRandom(takeSeed(t, 20_261_127));
  const rig = await ShardRig.start(t);
  const pair = await ReplicaPair.make(rig);
  const source = await pair.source();
  const done = new Map<number, number>();
  const write = async () => {
    const key = random.below(120);
    const ids = [random.below(30)];
    await upsert(source, ids);
    const written = await setPayload(source, { kind: 'ids', ids }, key, random.below(9));
    assert.equal(written.repeated, done.get(key));
    done.set(key, written.repeated ?? written.version);
  };
  /** Between pages, a few times: else there were always more. */
  let between = 0;
  const writeBetween = async () => {
    between += 1;
    if (between % 8 !== 0) await write();
  };
  const check = async () => {
    const known = [SOURCE, TARGET].map((id) =>
      rig.registry.rows(id)().onceAfter(onceAfter(0), 999),
    );
    assert.deepEqual(known[1], known[0]);
    assert.equal(known[0]?.length, done.size);
  };
  for (let n = 0; n < 20; n += 1) await write();
  assert.ok(await pair.level(0, writeBetween));
  await check();
  for (let n = 0; n < 20; n += 1) await write();
  const { version: since } = (await pair.usage())[1];
  // A write that only the target has: no repetition may take it for done.
  const target = await pair.target();
  const version = (await pair.usage())[0].version + 5;
  const points = { kind: 'ids' as const, ids: [1] };
  await target.delete({ version, points, once: once(200) }, inTime());
  assert.ok(await pair.level(since, writeBetween));
  await check();
});
