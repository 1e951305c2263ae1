/** The life of collections when workers and the coordinator fail in the middle of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DataPlane } from '../../coordinator/data-plane/data-plane.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import { addIndex, createSmall, type DataRig, descriptor, startRig } from './data-rig.ts';

const VECTORS = { vectors: { size: 4, distance: 'Dot' } };

const rows = (rig: DataRig) => rig.store.collections.all().map(({ name, state }) => [name, state]);
const settled = () => new Promise((next) => setImmediate(next));

test('a collection that its worker refuses is undone and can be made again', async (t) => {
  const rig = await startRig(t);
  for (const code of ['overloaded', 'write_outcome_unknown', 'insufficient_storage'] as const) {
    rig.worker.interfere = (name) => {
      if (name === 'shard-create') throw new AppError(code);
    };
    const answer = await rig.call('PUT', '/collections/c', VECTORS);
    assert.equal(answer.json.code, code === 'write_outcome_unknown' ? 'unavailable' : code);
    await settled();
    assert.deepEqual(rows(rig), []);
    assert.equal((await rig.call('GET', '/collections/c/exists')).json.result.exists, false);
  }
  rig.worker.interfere = () => undefined;
  await createSmall(rig);
  assert.deepEqual(rows(rig), [['c', 'active']]);
  assert.equal(rig.store.collections.all()[0]?.generation, 4);
});

test('without a worker nothing is made and nothing is left', async (t) => {
  const rig = await startRig(t);
  rig.worker.online = false;
  const answer = await rig.call('PUT', '/collections/c', VECTORS);
  assert.equal(answer.status, 503);
  assert.equal(answer.headers.get('retry-after'), '1');
  assert.deepEqual(rows(rig), []);
});

test('a deletion is done at once and finished when the worker returns', async (t) => {
  const rig = await startRig(t);
  await createSmall(rig);
  const [shardId] = rig.worker.shards.keys();
  rig.worker.online = false;
  assert.equal((await rig.call('DELETE', '/collections/c')).json.result, true);
  assert.equal((await rig.call('GET', '/collections/c')).status, 404);
  assert.deepEqual(rows(rig), [['c', 'deleting']]);

  rig.worker.connect();
  await settled();
  assert.deepEqual(rows(rig), []);
  assert.equal(rig.worker.shards.has(shardId as never), false);
});

test('the name of a deleted collection is free at once, for other points', async (t) => {
  const rig = await startRig(t);
  await createSmall(rig);
  await rig.call('PUT', '/collections/c/points', { points: [{ id: 1, vector: [1, 2, 3, 4] }] });
  rig.worker.interfere = (name) => {
    if (name === 'shard-drop') throw new AppError('overloaded');
  };
  await rig.call('DELETE', '/collections/c');
  await createSmall(rig);
  const { json } = await rig.call('POST', '/collections/c/points/count', {});
  assert.equal(json.result.count, 0);
  assert.deepEqual(
    rows(rig)
      .map(([, state]) => state)
      .sort(),
    ['active', 'deleting'],
  );
  rig.worker.interfere = () => undefined;
  rig.worker.connect();
  await settled();
  assert.deepEqual(rows(rig), [['c', 'active']]);
  assert.equal((await rig.call('GET', '/collections/c')).status, 200);
});

test('a start finishes what the last run left and keeps what was active', async (t) => {
  const rig = await startRig(t);
  await createSmall(rig, 'Dot', 'active');
  await createSmall(rig, 'Dot', 'going');
  const going = rig.store.collections.all().find(({ name }) => name === 'going');
  assert.ok(going);
  rig.store.collections.markDeleting(going.collectionId);
  rig.store.collections.create({
    ...going,
    collectionId: '00000000-0000-4000-8000-000000000001' as typeof going.collectionId,
    name: 'half',
    shards: [
      {
        shardId: '00000000-0000-4000-8000-000000000002' as never,
        ordinal: 0,
        replicas: [{ workerId: rig.worker.workerId, state: 'in_sync', syncedVersion: 0 }],
      },
    ],
  });
  const plane: DataPlane = rig.openPlane();
  await settled();
  await settled();
  assert.deepEqual(rows(rig), [['active', 'active']]);
  const owner = { clientId: going.clientId, mode: 'live', namespace: 'default' } as const;
  assert.deepEqual(plane.collections.list(owner), ['active']);
  const done = rig.events.filter(({ event }) => event === 'reconcile_done').at(-1);
  assert.deepEqual(done?.fields, {
    workerId: rig.worker.workerId,
    finished: 2,
    rolledBack: 1,
    waiting: 0,
  });
});

test('a change is recorded after the worker made it, and one at a time', async (t) => {
  const rig = await startRig(t);
  await createSmall(rig);
  rig.worker.interfere = (name) => {
    if (name === 'shard-configure') throw new AppError('overloaded');
  };
  assert.equal((await addIndex(rig, 'lost')).status, 503);
  rig.worker.interfere = () => undefined;
  const fields = ['a', 'b', 'c[].d', '"x.y"'];
  for (const answer of await Promise.all(fields.map((field) => addIndex(rig, field)))) {
    assert.equal(answer.status, 200);
  }
  const expected = Object.fromEntries(fields.map((field) => [field, 'keyword']));
  assert.deepEqual(rig.store.collections.all()[0]?.payloadIndexes, expected);
  assert.deepEqual(descriptor(rig)?.payloadIndexes, expected);

  await rig.call('DELETE', `/collections/c/index/${encodeURIComponent('c[].d')}`);
  await rig.call('PATCH', '/collections/c', { hnsw_config: { m: 24 } });
  const { json } = await rig.call('GET', '/collections/c');
  assert.deepEqual(Object.keys(json.result.payload_schema), ['a', 'b', '"x.y"']);
  assert.equal(json.result.config.hnsw_config.m, 24);
  assert.equal(rig.store.collections.all()[0]?.config.hnsw.m, 24);
});

test('a collection without a graph can be asked for', async (t) => {
  const rig = await startRig(t);
  const body = { ...VECTORS, hnsw_config: { m: 0 } };
  assert.equal((await rig.call('PUT', '/collections/c', body)).status, 200);
  assert.equal(descriptor(rig)?.config.hnsw.m, 0);
  await rig.call('PATCH', '/collections/c', { hnsw_config: { m: 4 } });
  assert.equal(descriptor(rig)?.config.hnsw.m, 4);
});

test('two creations of one name: one wins, the other hears that it exists', async (t) => {
  const rig = await startRig(t);
  const answers = await Promise.all(
    [1, 2, 3].map(() => rig.call('PUT', '/collections/c', VECTORS)),
  );
  assert.deepEqual(answers.map(({ status }) => status).sort(), [200, 409, 409]);
  assert.deepEqual(rows(rig), [['c', 'active']]);
});

test('names that look like parts of an object are names', async (t) => {
  const rig = await startRig(t);
  const names = ['__proto__', 'constructor', 'toString', 'ü ñ', 'a.b', '-', '%', '日本語'];
  for (const name of names) {
    const path = `/collections/${encodeURIComponent(name)}`;
    assert.equal((await rig.call('GET', path)).status, 404, name);
    assert.equal((await rig.call('PUT', path, VECTORS)).status, 200, name);
    assert.equal((await rig.call('GET', path)).status, 200, name);
  }
  const { json } = await rig.call('GET', '/collections');
  const listed = json.result.collections.map((item: { name: string }) => item.name);
  assert.deepEqual(listed.sort(), names.sort());
});
