/** What a shard promises when reads and writes meet, and when parts below it fail. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { cp, rm } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { AppError } from '../../shared/errors/app-error.ts';
import { cleanUp } from '../../test/harness/cleanup.ts';
import { recordingLog } from '../../test/harness/recording-log.ts';
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
import { KernelIndex } from '../index/kernel/kernel-index.ts';
import { KernelMemory } from '../index/kernel/memory.ts';
import { PointsReader } from '../points/points-reader.ts';

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

test('searches during writes show no point that does not match', async (t) => {
  const shard = await (await ShardRig.start(t)).create({ payloadIndexes: { odd: 'bool' } });
  await upsert(shard, range(0, 400));
  let writing = true;
  const writes = (async () => {
    for (let round = 0; round < 40; round += 1) {
      const payload = Buffer.from(JSON.stringify({ odd: round % 2 === 0 }));
      const ids = range(0, 20).map((i) => (round * 37 + i * 19) % 400);
      const points = { kind: 'ids', ids } as const;
      const change = { kind: 'set', payload } as const;
      await shard.updatePayload({ version: nextVersion(shard), points, change }, inTime());
    }
    writing = false;
  })();
  const searches = [request({ limit: 20, payload: { kind: 'all' }, filter: ODD })];
  while (writing) {
    const { body } = await shard.reads.query({ searches }, vectorOf(1), inTime());
    for (const payload of body.results[0]?.records.payloads ?? []) {
      assert.equal(JSON.parse(Buffer.from(payload ?? []).toString()).odd, true);
    }
    await nextTurn();
  }
  await writes;
});

test('searches during a large delete are full, and show nothing that is gone', async (t) => {
  const shard = await (await ShardRig.start(t)).create({ payloadIndexes: { odd: 'bool' } });
  for (let at = 0; at < 10_000; at += 2_500) await upsert(shard, range(at, at + 2_500));
  await untilLinked(shard);
  let deleting = true;
  const deletion = remove(shard, { kind: 'filter', filter: ODD }).finally(() => {
    deleting = false;
  });
  let searchCount = 0;
  while (deleting) {
    const found = await nearest(shard, searchCount, { limit: 10 });
    assert.equal(found.length, 10, '5,000 points match throughout');
    searchCount += 1;
    await nextTurn();
  }
  await deletion;
  t.diagnostic(`${searchCount} searches during the delete`);
  const left = await nearest(shard, 7, { limit: 5_000, exact: true });
  assert.ok(left.length === 5_000 && left.every((id) => Number(id) % 2 === 0));
});

/** Writes commit, and then the answer is lost `times` times. */
function loseAnswers(t: TestContext, rig: ShardRig, times: number): void {
  const { store } = rig;
  const write = store.write.bind(store);
  let left = times;
  t.mock.method(store, 'write', async (...args: Parameters<typeof write>) => {
    const outcome = await write(...args);
    left -= 1;
    if (left >= 0) throw new AppError('write_outcome_unknown');
    return outcome;
  });
}

test('a write whose answer was lost is found once the shard has caught up', async (t) => {
  const rig = await ShardRig.start(t);
  let shard = await rig.create({ payloadIndexes: { odd: 'bool' } });
  await upsert(shard, range(0, 600));
  await untilLinked(shard);
  loseAnswers(t, rig, 3);
  await assert.rejects(
    upsert(shard, [5], () => 9_005),
    { code: 'write_outcome_unknown' },
  );
  await assert.rejects(upsert(shard, [9_999]), { code: 'write_outcome_unknown' });
  await assert.rejects(remove(shard, { kind: 'ids', ids: [7] }));
  await upsert(shard, [700]);
  for (const when of ['at once', 'after a restart']) {
    assert.equal((await nearest(shard, 9_005))[0], 5, when);
    assert.notEqual((await nearest(shard, 5))[0], 5, `its old vector is gone ${when}`);
    assert.equal((await nearest(shard, 9_999))[0], 9_999, when);
    assert.ok(!(await nearest(shard, 7, { limit: 700 })).includes(7), when);
    assert.equal((await shard.reads.count(undefined, true, inTime())).count, 601, when);
    assert.equal((await shard.reads.count(ODD, true, inTime())).count, 300, when);
    shard = await rig.restart(true);
  }
});

test('a change in several commits has one version, and memory has it with the last', async (t) => {
  const rig = await ShardRig.start(t);
  const shard = await rig.create({ payloadIndexes: { odd: 'bool' } });
  await upsert(shard, range(0, 3_000));
  const { store } = rig;
  const write = store.write.bind(store);
  const [committed, applied] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  cleanUp(t, () => applied.resolve());
  let part = 0;
  t.mock.method(store, 'write', async (...args: Parameters<typeof write>) => {
    const outcome = await write(...args);
    part += 1;
    if (part !== 2) return outcome;
    committed.resolve();
    await applied.promise;
    return outcome;
  });
  const version = nextVersion(shard);
  const change = { kind: 'set', payload: Buffer.from('{"odd":false}') } as const;
  const points = { kind: 'filter', filter: ODD } as const;
  const changing = shard.updatePayload({ version, points, change }, inTime());
  await committed.promise;
  const searches = [request({ limit: 1_500, payload: { kind: 'all' }, filter: ODD })];
  const { body } = await shard.reads.query({ searches }, vectorOf(1), inTime());
  const found = body.results[0]?.records;
  assert.equal(found?.ids.length, 500, 'two of three parts are committed');
  for (const payload of found.payloads ?? []) {
    assert.equal(JSON.parse(Buffer.from(payload ?? []).toString()).odd, true);
  }
  applied.resolve();
  const written = await changing;
  assert.deepEqual([written.version, part], [version, 3]);
  const rows = store.reader(shard.folder).changedSince(version - 1, -1, 256);
  assert.ok(rows.length === 256 && rows.every((row) => row.version === version));
});

test('a part whose answer was lost is caught up with', async (t) => {
  const rig = await ShardRig.start(t);
  const shard = await rig.create({ payloadIndexes: { odd: 'bool' } });
  await upsert(shard, range(0, 2_000));
  const { store } = rig;
  const write = store.write.bind(store);
  let part = 0;
  const losing = t.mock.method(store, 'write', async (...args: Parameters<typeof write>) => {
    const outcome = await write(...args);
    part += 1;
    if (part === 2) throw new AppError('write_outcome_unknown');
    return outcome;
  });
  const change = { kind: 'set', payload: Buffer.from('{"odd":false}') } as const;
  const points = { kind: 'filter', filter: ODD } as const;
  const changing = shard.updatePayload({ version: nextVersion(shard), points, change }, inTime());
  await assert.rejects(changing, { code: 'write_outcome_unknown' });
  losing.mock.restore();
  await shard.idle();
  assert.equal(
    (await shard.reads.count(ODD, true, inTime())).count,
    0,
    'both parts were committed',
  );
});

test('a change that breaks off in its midst does not say that nothing was changed', async (t) => {
  const rig = await ShardRig.start(t);
  const shard = await rig.create({ payloadIndexes: { odd: 'bool' } });
  await upsert(shard, range(0, 2_500));
  const { store } = rig;
  const write = store.write.bind(store);
  let part = 0;
  let code: 'insufficient_storage' | 'quota_exceeded' = 'insufficient_storage';
  t.mock.method(store, 'write', async (...args: Parameters<typeof write>) => {
    part += 1;
    if (part === 2) throw new AppError(code);
    return write(...args);
  });
  const deletion = remove(shard, { kind: 'ids', ids: range(0, 1_200) });
  await assert.rejects(deletion, { code: 'write_outcome_unknown', message: /^500 of 1200 points/ });
  // Replicas differ in what their disks have room for, not in what a plan allows.
  [part, code] = [0, 'quota_exceeded'];
  const change = { kind: 'set', payload: Buffer.from('{"odd":false}') } as const;
  const points = { kind: 'filter', filter: ODD } as const;
  const changing = shard.updatePayload({ version: nextVersion(shard), points, change }, inTime());
  await assert.rejects(changing, { code: 'quota_exceeded', message: /^500 of 1000 points/ });
});

test('writes that must wait are not overtaken', async (t) => {
  const shard = await (await ShardRig.start(t)).create();
  await upsert(shard, range(0, 2_000));
  t.mock.getter(KernelIndex.prototype, 'backlogged', () => true);
  const many = range(0, 1_200);
  const writes = [
    upsert(shard, range(2_000, 2_100)),
    remove(shard, { kind: 'ids', ids: many }),
    upsert(shard, [5]),
    remove(shard, { kind: 'filter', filter: ODD }),
    upsert(shard, [7]),
  ];
  const versions = (await Promise.all(writes)).map(({ version }) => version);
  assert.deepEqual(
    versions,
    versions.map((_, i) => (versions[0] ?? 0) + i),
  );
  const kept = await nearest(shard, 7, { limit: 2_000, exact: true });
  assert.ok(!kept.includes(5) && kept.includes(7));
});

test('a drop that fails is not forgotten: the shard is not served, the next try erases it', async (t) => {
  const rig = await ShardRig.start(t);
  const shard = await rig.create();
  await upsert(shard, range(0, 300));
  const fail = t.mock.method(rig.store, 'drop', () => Promise.reject(new Error('disk')));
  await assert.rejects(rig.registry.drop(SHARD, descriptor().place), /disk/);
  await assert.rejects(rig.registry.shard(SHARD), { code: 'unavailable' });
  fail.mock.restore();
  await rig.registry.drop(SHARD, descriptor().place);
  await rig.close(false);
  await rig.open();
  assert.equal(rig.registry.size, 0);
});

test('a write that memory could not take is caught up with, and later ones go on', async (t) => {
  const rig = await ShardRig.start(t);
  const shard = await rig.create();
  await upsert(shard, range(0, 10));
  const full = new AppError('overloaded', 'the worker has no memory left');
  const reserve = t.mock.method(KernelMemory.prototype, 'reserve', () => {
    throw full;
  });
  await assert.rejects(upsert(shard, [10]), { code: 'write_outcome_unknown' });
  reserve.mock.restore();
  await upsert(shard, [11]);
  await remove(shard, { kind: 'ids', ids: [3] });
  for (const id of [10, 11]) assert.equal((await nearest(shard, id))[0], id);
  assert.equal(shard.reads.status().points, 11);
});

test('linking that finds no memory is tried again and costs no trust', async (t) => {
  const { log, saw } = recordingLog();
  const rig = await ShardRig.start(t, log);
  const shard = await rig.create();
  const create = t.mock.method(KernelMemory, 'create', () => {
    throw new AppError('overloaded', 'the worker has no memory left');
  });
  await upsert(shard, range(0, 400));
  while (saw('shard_failed').length === 0) await nextTurn();
  create.mock.restore();
  assert.equal(saw('shard_trapped').length, 0);
  assert.equal((await nearest(shard, 7))[0], 7);
  await upsert(shard, [400]);
  await untilLinked(shard);
  assert.equal(shard.reads.status().indexed, 401);
});

test('dropping a shard while it is saved ends its upkeep', async (t) => {
  const rig = await ShardRig.start(t);
  const shard = await rig.create();
  await upsert(shard, range(0, 400));
  const save = t.mock.method(shard.image, 'save');
  const link = t.mock.method(shard, 'linkAside');
  while (save.mock.callCount() === 0) await nextTurn();
  await rig.registry.drop(SHARD, descriptor().place);
  const before = link.mock.callCount();
  for (let turn = 0; turn < 100; turn += 1) await nextTurn();
  assert.ok(link.mock.callCount() <= before + 1, 'nothing is linked for a dropped shard');
});

test('dropping a shard while its points are linked leaves nothing behind', async (t) => {
  const { log, saw } = recordingLog();
  const rig = await ShardRig.start(t, log);
  const shard = await rig.create();
  const link = t.mock.method(shard, 'linkAside');
  const { folder } = shard;
  await upsert(shard, range(0, 400));
  assert.equal(link.mock.callCount(), 1);
  const [call] = link.mock.calls;
  await rig.registry.drop(SHARD, descriptor().place);
  await call?.result;
  for (let turn = 0; turn < 20; turn += 1) await nextTurn();
  assert.deepEqual(saw('image_save_failed'), []);
  assert.equal(existsSync(folder), false);
});

test('a payload index that could not be filled is tried anew', async (t) => {
  const rig = await ShardRig.start(t);
  const shard = await rig.create();
  await upsert(shard, range(0, 300));
  const reader = t.mock.method(rig.store, 'reader', () => {
    throw new Error('unreadable');
  });
  const indexed = descriptor({ payloadIndexes: { odd: 'bool' } });
  await assert.rejects(rig.registry.configure(indexed), /unreadable/);
  reader.mock.restore();
  await rig.registry.configure(indexed);
  assert.deepEqual(shard.reads.status().payloadIndexPoints, { odd: 300 });
});

test('a change that meets a drop is refused, not a defect', async (t) => {
  const rig = await ShardRig.start(t);
  await upsert(await rig.create(), range(0, 300));
  const changing = rig.registry.configure(descriptor({ payloadIndexes: { odd: 'bool' } }));
  const dropping = rig.registry.drop(SHARD, descriptor().place);
  await changing.catch((error: unknown) => {
    assert.ok(error instanceof AppError && error.code === 'unavailable', String(error));
  });
  await dropping;
  assert.equal(rig.registry.size, 0);
});

test('a shard whose description was lost is erased all the same', async (t) => {
  const rig = await ShardRig.start(t);
  const { folder } = await rig.create();
  await rig.close(false);
  await rm(path.join(folder, 'shard.json'));
  await rig.open();
  assert.equal(rig.registry.size, 0);
  assert.ok(existsSync(folder), 'it is not erased by itself');
  await rig.registry.drop(SHARD, descriptor().place);
  assert.equal(existsSync(folder), false);
});

test('a copy of a shard in another place is not taken for the shard', async (t) => {
  const rig = await ShardRig.start(t);
  let shard = await rig.create();
  await upsert(shard, [1]);
  await rig.close(false);
  await cp(path.dirname(shard.folder), `${path.dirname(shard.folder)}.bak`, { recursive: true });
  await rig.open();
  await upsert(await rig.registry.shard(SHARD), [2]);
  shard = await rig.restart(false);
  assert.equal(shard.reads.status().points, 2);
});

test('a label that is given to another point in the midst of a scroll shows neither', async (t) => {
  const shard = await (await ShardRig.start(t)).create({ payloadIndexes: { odd: 'bool' } });
  await upsert(shard, range(0, 10));
  const byLabels = PointsReader.prototype.byLabels;
  let reads = 0;
  t.mock.method(
    PointsReader.prototype,
    'byLabels',
    function (this: PointsReader, ...args: Parameters<typeof byLabels>) {
      const rows = byLabels.apply(this, args);
      reads += 1;
      if (reads === 1) return rows;
      return rows.map((row) => (row?.id === 5 ? { ...row, id: 900 } : row));
    },
  );
  const view = { payload: { kind: 'all' as const }, withVector: false };
  const { body } = await shard.reads.scroll({ filter: ODD, limit: 10, ...view }, inTime());
  assert.deepEqual(body.records.ids, [1, 3, 7, 9]);
  assert.equal(reads, 2);
});
