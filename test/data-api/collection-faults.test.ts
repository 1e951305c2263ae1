/** Collections when the store or the worker fails in the middle, and who mends it afterwards. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Tally } from '../../coordinator/limits/tally.ts';
import { must } from '../../shared/base/assert.ts';
import { ManualClock } from '../../shared/base/clock.ts';
import type { RequestId } from '../../shared/base/ids.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { MessageName } from '../../shared/protocol/messages.ts';
import { addIndex, createSmall, type DataRig, descriptor, startRig } from './data-rig.ts';

const VECTORS = { vectors: { size: 4, distance: 'Dot' } };

const rows = (rig: DataRig) => rig.store.collections.all().map(({ name, state }) => [name, state]);
const pending = (rig: DataRig) => rig.store.collections.all().map((row) => row.configPending);
const settled = () => new Promise((next) => setImmediate(next));
const sent = (rig: DataRig, message: MessageName) =>
  rig.worker.sent.filter(({ name }) => name === message).length;

/** Makes calls of the store fail until the returned function is called. */
function fail(rig: DataRig, ...methods: ('markDeleting' | 'remove' | 'finishChange')[]) {
  const { collections } = rig.store;
  for (const method of methods) {
    collections[method] = () => {
      throw new AppError('insufficient_storage');
    };
  }
  return () => {
    for (const method of methods) Reflect.deleteProperty(collections, method);
  };
}

test('a failed creation on a full disk is undone when there is space again', async (t) => {
  const planeClock = new ManualClock();
  const rig = await startRig(t, { planeClock });
  const mend = fail(rig, 'markDeleting');
  rig.worker.interfere = (name) => {
    if (name === 'shard-create') throw new AppError('insufficient_storage');
  };
  assert.equal((await rig.call('PUT', '/collections/c', VECTORS)).status, 507);
  assert.deepEqual(rows(rig), [['c', 'creating']]);
  for (let i = 0; i < 3; i += 1) {
    planeClock.advance(60_000);
    await settled();
  }
  assert.deepEqual(rows(rig), [['c', 'creating']]);
  const failures = rig.events.filter(({ event }) => event === 'erase_failed');
  const delays = failures.map(({ fields }) => 'delayMs' in fields && fields.delayMs);
  assert.deepEqual(delays, [1_000, 2_000, 4_000, 8_000]);

  mend();
  planeClock.advance(8_000);
  await settled();
  assert.deepEqual(rows(rig), []);
  rig.worker.interfere = () => undefined;
  assert.equal((await rig.call('PUT', '/collections/c', VECTORS)).status, 200);
});

test('a worker that can not drop a shard now is asked again while it stays', async (t) => {
  const planeClock = new ManualClock();
  const rig = await startRig(t, { planeClock });
  await createSmall(rig);
  rig.worker.interfere = (name) => {
    if (name === 'shard-drop') throw new AppError('overloaded');
  };
  assert.equal((await rig.call('DELETE', '/collections/c')).json.result, true);
  planeClock.advance(1_000);
  await settled();
  assert.equal(sent(rig, 'shard-drop'), 2);
  assert.deepEqual(rows(rig), [['c', 'deleting']]);
  rig.worker.interfere = () => undefined;
  planeClock.advance(2_000);
  await settled();
  assert.deepEqual(rows(rig), []);
  assert.equal(rig.worker.shards.size, 0);
  const names = rig.events.map(({ event }) => event).filter((event) => event !== 'request_done');
  assert.deepEqual(names.slice(1), ['erase_failed', 'erase_failed', 'collection_deleted']);
  planeClock.advance(600_000);
  await settled();
  assert.equal(sent(rig, 'shard-drop'), 3);
});

test('a row that can not be removed is removed later', async (t) => {
  const planeClock = new ManualClock();
  const rig = await startRig(t, { planeClock });
  await createSmall(rig);
  const mend = fail(rig, 'remove');
  assert.equal((await rig.call('DELETE', '/collections/c')).json.result, true);
  assert.deepEqual(rows(rig), [['c', 'deleting']]);
  mend();
  planeClock.advance(1_000);
  await settled();
  assert.deepEqual(rows(rig), []);
});

test('a start rolls back what was half made, also while its worker is away', async (t) => {
  const rig = await startRig(t);
  await createSmall(rig, 'Dot', 'going');
  const [going] = rig.store.collections.all();
  assert.ok(going);
  const half = {
    ...going,
    collectionId: '00000000-0000-4000-8000-000000000001' as typeof going.collectionId,
    name: 'half',
  };
  const shardId = '00000000-0000-4000-8000-000000000002' as never;
  const { workerId } = rig.worker;
  const replicas = [{ workerId, state: 'in_sync', syncedVersion: 0 } as const];
  const shards = [{ shardId, ordinal: 0, replicas }];
  rig.store.collections.create({ ...half, shards });
  rig.worker.online = false;
  rig.openPlane();
  assert.deepEqual(rows(rig).toSorted(), [
    ['going', 'active'],
    ['half', 'deleting'],
  ]);
});

test('a change whose answer is lost is taken back at the worker', async (t) => {
  const planeClock = new ManualClock();
  const rig = await startRig(t, { planeClock });
  await createSmall(rig);
  await addIndex(rig, 'kept');
  loseAnswers(rig);
  assert.equal((await addIndex(rig, 'lost')).json.code, 'write_outcome_unknown');
  assert.deepEqual(Object.keys(descriptor(rig)?.payloadIndexes ?? {}), ['kept', 'lost']);
  assert.deepEqual(pending(rig), [true]);
  planeClock.advance(1_000);
  await settled();
  assert.deepEqual(pending(rig), [true], 'this answer was lost too');
  rig.worker.interfere = () => undefined;
  planeClock.advance(2_000);
  await settled();
  assert.deepEqual(pending(rig), [false]);
  assert.deepEqual(descriptor(rig)?.payloadIndexes, { kept: 'keyword' });
  planeClock.advance(600_000);
  assert.equal(sent(rig, 'shard-configure'), 4);
});

test('a change that the store can not keep is taken back at the worker', async (t) => {
  const planeClock = new ManualClock();
  const rig = await startRig(t, { planeClock });
  await createSmall(rig);
  const mend = fail(rig, 'finishChange');
  assert.equal((await rig.call('PATCH', '/collections/c', { hnsw_config: { m: 40 } })).status, 507);
  assert.equal(descriptor(rig)?.config.hnsw.m, 40);
  mend();
  planeClock.advance(1_000);
  await settled();
  assert.equal(descriptor(rig)?.config.hnsw.m, rig.store.collections.all()[0]?.config.hnsw.m);
  assert.notEqual(descriptor(rig)?.config.hnsw.m, 40);
  assert.deepEqual(pending(rig), [false]);
});

test('a worker gets the recorded configuration when it returns, also after a new start', async (t) => {
  const rig = await startRig(t);
  await createSmall(rig);
  loseAnswers(rig);
  await addIndex(rig, 'lost');
  rig.worker.online = false;
  rig.worker.interfere = () => undefined;
  const shard = [...rig.worker.shards.values()][0];
  rig.worker.connect();
  await settled();
  await settled();
  assert.deepEqual(shard?.descriptor.payloadIndexes, {});
  assert.deepEqual(pending(rig), [false]);

  loseAnswers(rig);
  await addIndex(rig, 'lost again');
  rig.worker.interfere = () => undefined;
  rig.openPlane();
  await settled();
  await settled();
  assert.deepEqual(shard?.descriptor.payloadIndexes, {});
  assert.deepEqual(pending(rig), [false]);
});

test('a later change settles an earlier one that failed', async (t) => {
  const planeClock = new ManualClock();
  const rig = await startRig(t, { planeClock });
  await createSmall(rig);
  loseAnswers(rig);
  await addIndex(rig, 'lost');
  rig.worker.interfere = () => undefined;
  assert.equal((await addIndex(rig, 'kept')).status, 200);
  assert.deepEqual(descriptor(rig)?.payloadIndexes, { kept: 'keyword' });
  assert.deepEqual(pending(rig), [false]);
  const before = sent(rig, 'shard-configure');
  planeClock.advance(600_000);
  await settled();
  assert.equal(sent(rig, 'shard-configure'), before);
});

test('a deletion waits for changes under way, and what comes after it is 404', async (t) => {
  const rig = await startRig(t);
  await createSmall(rig);
  const { promise, resolve } = Promise.withResolvers<void>();
  rig.worker.interfere = (name) => (name === 'shard-configure' ? promise : undefined);
  const change = addIndex(rig, 'a');
  while (sent(rig, 'shard-configure') === 0) await settled();
  const deletion = rig.call('DELETE', '/collections/c');
  const second = rig.call('DELETE', '/collections/c');
  const after = rig.call('PATCH', '/collections/c', { hnsw_config: { m: 24 } });
  await new Promise((next) => setTimeout(next, 50));
  resolve();
  assert.equal((await change).status, 200);
  const results = [(await deletion).json.result, (await second).json.result];
  assert.deepEqual(results.toSorted(), [false, true]);
  const { status } = await after;
  assert.ok(status === 404 || status === 200, `${status}`);
  assert.deepEqual(rows(rig), []);
  assert.equal(rig.worker.shards.size, 0);
});

test('readiness needs a worker for every shard', async (t) => {
  const rig = await startRig(t);
  const plane = rig.openPlane();
  assert.equal(plane.notReady(), undefined);
  const { clientId } = must(rig.store.clients.page({}, 1)[0], 'the rig has clients');
  const tally = new Tally();
  const requestId = 'req_aaaaaaaaaaaaaaaa' as RequestId;
  const owner = { clientId, mode: 'live', namespace: 'default', tally, requestId } as const;
  const deadline = { remainingMs: () => 1_000, expired: false } as never;
  await plane.collections.create(owner, 'c', VECTORS, deadline);
  const other = 'wk_bbbbbbbbbbbbbbbb' as typeof rig.worker.workerId;
  rig.worker.online = false;
  rig.worker.connected = () => [other];
  assert.equal(plane.notReady(), '1 of 1 shards have no worker that is connected');
  rig.worker.online = true;
  assert.equal(plane.notReady(), undefined);
  rig.worker.connected = () => [];
  assert.equal(plane.notReady(), 'no worker is connected');
  rig.worker.online = false;
  await plane.collections.delete(owner as never, 'c', deadline);
  rig.worker.connected = () => [other];
  assert.equal(plane.notReady(), undefined, 'what is deleted keeps nobody waiting');
});

/** The worker makes each change, and its answer does not come. */
function loseAnswers(rig: DataRig): void {
  rig.worker.interfere = (name) => {
    if (name !== 'shard-configure') return;
    const message = rig.worker.sent.at(-1);
    const shard = message && rig.worker.shards.get(message.shardId);
    const body = message?.body as { descriptor: NonNullable<ReturnType<typeof descriptor>> };
    if (shard !== undefined) shard.descriptor = body.descriptor;
    throw new AppError('write_outcome_unknown');
  };
}
