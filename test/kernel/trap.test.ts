/**
 * A defect in the kernel writes over a shard's memory and out of its bounds. That ends in a trap:
 * the caller gets a clean error, the shard is read anew from its rows, and no other shard notices.
 */
import assert from 'node:assert/strict';
import { before, type TestContext, test } from 'node:test';
import { compileFaultyKernel } from '../../scripts/kernel/compile.ts';
import { systemClock } from '../../shared/base/clock.ts';
import type { ShardId } from '../../shared/base/ids.ts';
import type { ShardDescriptor } from '../../shared/domain/collection.ts';
import type { Search } from '../../shared/protocol/messages/points-query.ts';
import { BuilderThread } from '../../worker/index/kernel/builder.ts';
import { runJob } from '../../worker/index/kernel/job.ts';
import { BUILDING, instantiate, useBuild } from '../../worker/index/kernel/module.ts';
import { createHandlers } from '../../worker/server/handlers.ts';
import { recordingLog } from '../harness/recording-log.ts';
import {
  DIMENSION,
  descriptor,
  inTime,
  nextVersion,
  range,
  request,
  SHARD,
  ShardRig,
  untilLinked,
  upsert,
  vectorOf,
} from '../shard/shard-rig.ts';

const OTHER = '00000000-0000-4000-8000-00000000000f' as ShardId;
const POINTS = 300;
const NEAR = vectorOf(7);
/** See `test-fault.ts`. */
const FAULTY = NEAR.slice().fill(12_345, 0, 1);
const UNAVAILABLE = { code: 'unavailable' };

before(async () => useBuild(await compileFaultyKernel()));

/** A worker with two shards, both linked, the first saved, too. */
async function twoShards(t: TestContext) {
  const recorded = recordingLog();
  const rig = await ShardRig.start(t, recorded.log);
  const vector = { dimension: DIMENSION, distance: 'Euclid' as const };
  const own = descriptor({
    config: { vector, hnsw: { m: 8, efConstruct: 60, engine: 'kernel' } },
  });
  const shard = await filled(rig, own);
  const place = { ...own.place, collection: 'other' };
  const other = await filled(rig, { ...own, shardId: OTHER, place });
  await shard.image.save();
  assert.equal(recorded.saw('image_saved').length > 0, true);
  /** As a request that comes over the link. */
  const ask = async (shardId: ShardId, query: Float32Array, more: Partial<Search> = {}) => {
    const handlers = createHandlers(rig.registry, systemClock, async () =>
      Promise.reject(new Error('nobody asks for the status')),
    );
    const body = { searches: [request({ limit: 10, ...more })] };
    const reply = await handlers['points-query'](shardId, body, query, inTime());
    return reply.body.results[0];
  };
  return { ...recorded, rig, shard, other, ask };
}

async function filled(rig: ShardRig, described: ShardDescriptor) {
  await rig.registry.create(described);
  const shard = await rig.registry.shard(described.shardId);
  await upsert(shard, range(0, POINTS));
  await untilLinked(shard);
  return shard;
}

test('a search that writes out of bounds ends the memory of one shard only', async (t) => {
  const { ask, lines, other, rig, saw, shard } = await twoShards(t);
  const right = await ask(SHARD, NEAR);
  assert.deepEqual(await ask(OTHER, NEAR), right);

  const write = rig.store.write.bind(rig.store);
  const [committed, applied] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const holding = t.mock.method(rig.store, 'write', async (...args: Parameters<typeof write>) => {
    const outcome = await write(...args);
    committed.resolve();
    await applied.promise;
    return outcome;
  });
  const writing = upsert(shard, [POINTS]);
  await committed.promise;
  await assert.rejects(ask(SHARD, FAULTY), UNAVAILABLE);
  assert.deepEqual(await ask(OTHER, NEAR), right, 'the other shard goes on');
  await assert.rejects(upsert(shard, [POINTS + 1]), UNAVAILABLE);
  for (const exact of [false, true]) {
    const searches = [request({ exact })];
    await assert.rejects(shard.reads.query({ searches }, NEAR, inTime()), UNAVAILABLE);
  }
  assert.equal(shard.image.behind, false, 'nothing of it is saved');
  applied.resolve();
  holding.mock.restore();
  assert.ok((await writing).version > 0, 'what was committed is acknowledged');
  assert.equal(saw('shard_trapped').length, 1);

  lines.length = 0;
  assert.deepEqual(await ask(SHARD, NEAR), right, 'it answers as before');
  const opened = saw('shard_opened').map(({ fields }) => [fields.source, fields.points]);
  assert.deepEqual(opened, [['rows', POINTS + 1]], 'its image is not trusted');
  assert.equal(await rig.registry.shard(OTHER), other, 'the other shard was not opened again');
});

test('a trap while points are linked does not end the worker', async (t) => {
  const { ask, rig, saw, shard } = await twoShards(t);
  const right = await ask(OTHER, NEAR);
  // The building thread would load the kernel that is committed; the job and the trap are real.
  const run: BuilderThread['run'] = async (memory, job) => {
    runJob(instantiate(memory, BUILDING), memory, job);
    return 0;
  };
  t.mock.method(BuilderThread.prototype, 'run', run);
  const faulty = { version: nextVersion(shard), ids: [POINTS], payloads: [null] };
  await shard.upsert(faulty, { '': FAULTY });
  await untilLinked(shard);
  assert.equal(saw('shard_trapped').length, 1);
  assert.deepEqual(await ask(SHARD, NEAR, { exact: true }), right, 'it answers from its rows');
  await untilLinked(await rig.registry.shard(SHARD));
  assert.deepEqual(await ask(OTHER, NEAR), right);
});

test('a shard that trapped is not opened from its image by the next process either', async (t) => {
  const { ask, lines, rig, saw } = await twoShards(t);
  const right = await ask(SHARD, NEAR);
  await assert.rejects(ask(SHARD, FAULTY), UNAVAILABLE);
  lines.length = 0;
  await rig.restart(true);
  assert.deepEqual(await ask(SHARD, NEAR), right);
  assert.deepEqual(
    saw('shard_opened').map(({ fields }) => fields.source),
    ['rows'],
  );
});
