/** What a shard answers about how much it holds, and writes that are held to a room. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { PointsSelector, Written } from '../../shared/protocol/schema.ts';
import { recordingLog } from '../../test/harness/recording-log.ts';
import {
  DIMENSION,
  inTime,
  nextVersion,
  ODD,
  range,
  remove,
  SHARD,
  ShardRig,
  upsert,
} from '../../test/shard/shard-rig.ts';

const VECTOR_BYTES = 4 * DIMENSION;

/** As `upsert` stores them. */
function bytesOf(ids: number[]): number {
  const payloads = ids.map((id) => JSON.stringify({ id, odd: id % 2 === 1 }).length);
  return payloads.reduce((sum, length) => sum + length + VECTOR_BYTES, 0);
}

test('every write answers what the shard holds after it', async (t) => {
  const rig = await ShardRig.start(t);
  const shard = await rig.create();
  const ids = range(0, 1_200);
  const stored = await upsert(shard, ids);
  const { digest: all } = stored;
  assert.deepEqual(stored, { version: 1, points: 1_200, bytes: bytesOf(ids), digest: all });
  const deleted = await remove(shard, { kind: 'filter', filter: ODD });
  const even = ids.filter((id) => id % 2 === 0);
  const { work, changed, ...held } = deleted;
  const { digest } = held;
  assert.deepEqual(held, { version: 2, points: 600, bytes: bytesOf(even), digest });
  assert.notEqual(digest, all);
  assert.deepEqual([work, changed], [{ examined: 1_200, changed: 600 }, 600]);
  const again = await remove(shard, { kind: 'filter', filter: ODD });
  const nothing = { ...held, changed: 0, work: { examined: 600, changed: 0 } };
  assert.deepEqual(again, nothing, 'also when there was nothing to do');
  assert.deepEqual(await rig.registry.usage(SHARD), held);
});

test('usage waits for the writes that came before it', async (t) => {
  const rig = await ShardRig.start(t);
  const shard = await rig.create();
  const { store } = rig;
  const write = store.write.bind(store);
  const held = Promise.withResolvers<void>();
  store.write = async (folder, op) => {
    await held.promise;
    return write(folder, op);
  };
  const writing = upsert(shard, [1]);
  const order: string[] = [];
  const asking = rig.registry.usage(SHARD).then((usage) => {
    order.push('usage');
    return usage;
  });
  await rig.registry.usage('00000000-0000-4000-8000-00000000000f' as typeof SHARD).catch(() => {
    order.push('another shard');
  });
  held.resolve();
  const { points } = await asking;
  assert.deepEqual([points, order], [1, ['another shard', 'usage']]);
  await writing;
});

test('a closed shard says what it holds and stays closed; one that opens is waited for', async (t) => {
  const recorded = recordingLog();
  const rig = await ShardRig.start(t, recorded.log);
  const stored = await upsert(await rig.create(), [1, 2, 3]);
  await rig.close(true);
  await rig.open();
  recorded.lines.length = 0;
  assert.deepEqual(await rig.registry.usage(SHARD), stored);
  assert.deepEqual(recorded.saw('shard_opened'), []);
  const opening = rig.registry.shard(SHARD);
  const writing = opening.then((shard) => upsert(shard, [4]));
  assert.equal((await rig.registry.usage(SHARD)).points, 4);
  await writing;
});

test('a change by filter has one room for all its commits', async (t) => {
  const rig = await ShardRig.start(t);
  const shard = await rig.create();
  const before = await upsert(shard, range(0, 2_400));
  const points = { kind: 'filter', filter: ODD } as const;
  const payload = Buffer.from('{"more":"12345"}');
  const added = ',"more":"12345"'.length;
  const set = (bytes: number): Promise<Written> => {
    const change = { kind: 'set', payload } as const;
    const room = { points: 0, bytes };
    return shard.updatePayload({ version: nextVersion(shard), points, change, room }, inTime());
  };
  await assert.rejects(set(1_200 * added - 1), { code: 'quota_exceeded', message: /1000 of 1200/ });
  const partly = await rig.registry.usage(SHARD);
  assert.equal(partly.bytes, before.bytes + 1_000 * added, 'as it says');
  const after = await set(200 * added);
  assert.equal(after.bytes, before.bytes + 1_200 * added, 'repeated, it needs the rest only');
});

test('a delete says how many points it deleted, a change of payloads how many it changed', async (t) => {
  const rig = await ShardRig.start(t);
  const shard = await rig.create();
  await upsert(shard, range(0, 2_500));
  const gone = async (points: PointsSelector) => {
    return (await shard.delete({ version: nextVersion(shard), points }, inTime())).changed;
  };
  assert.equal(await gone({ kind: 'ids', ids: [0, 1, 9_999] }), 2);
  assert.equal(await gone({ kind: 'ids', ids: [0, 1] }), 0);
  // In several parts, each of its own.
  assert.equal(await gone({ kind: 'ids', ids: range(0, 1_500) }), 1_498);
  const points: PointsSelector = { kind: 'filter', filter: ODD };
  const version = nextVersion(shard);
  const cleared = await shard.updatePayload(
    { version, points, change: { kind: 'clear' } },
    inTime(),
  );
  assert.deepEqual([cleared.changed, cleared.work?.changed], [500, 500]);
});
