/** How many copies a collection has: changed, bounded, shown, and what becomes of writes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSmall, type DataRig, startRig } from './data-rig.ts';

const POINTS = { points: [{ id: 1, vector: [1, 0, 0, 0] }] };

function change(rig: DataRig, params: object, more: object = {}) {
  return rig.call('PATCH', '/collections/c', { params, ...more });
}

async function factorsOf(rig: DataRig): Promise<number[]> {
  const { json } = await rig.call('GET', '/collections/c');
  const { replication_factor, write_consistency_factor } = json.result.config.params;
  return [replication_factor, write_consistency_factor];
}

test('another number of copies is stored, shown, and told to whoever makes them', async (t) => {
  const rig = await startRig(t);
  await createSmall(rig);
  assert.deepEqual(await factorsOf(rig), [1, 1]);
  const { status, json } = await change(rig, { replication_factor: 3 });
  assert.deepEqual([status, json.result], [200, true]);
  assert.deepEqual([await factorsOf(rig), rig.state.copiesChanged], [[3, 1], 1]);
  await change(rig, { write_consistency_factor: 2 });
  assert.deepEqual(await factorsOf(rig), [3, 2]);
  const [wanted] = rig.openPlane().wantedShards();
  assert.equal(wanted?.replicationFactor, 3, 'it is there after a start');
  const configured = rig.worker.sent.filter(({ name }) => name === 'shard-configure');
  assert.equal(configured.length, 0, 'workers hear nothing of it');
  await change(rig, { write_consistency_factor: null, replication_factor: 2 });
  assert.deepEqual(await factorsOf(rig), [2, 2]);
  assert.equal(rig.state.copiesChanged, 3);
});

test('copies and parameters of the graph are changed in one request', async (t) => {
  const rig = await startRig(t);
  await createSmall(rig);
  await change(rig, { replication_factor: 2 }, { hnsw_config: { m: 48 } });
  const { json } = await rig.call('GET', '/collections/c');
  assert.equal(json.result.config.hnsw_config.m, 48);
  assert.equal(json.result.config.params.replication_factor, 2);
  const same = await change(rig, { replication_factor: 2 }, { hnsw_config: { m: 32 } });
  assert.equal(same.status, 200);
  assert.equal(rig.state.copiesChanged, 1);
});

test('a number of copies that can not be is refused, and nothing is changed', async (t) => {
  const rig = await startRig(t, { limits: { replicas: 3 } });
  await createSmall(rig);
  const bad: [params: object, text: RegExp][] = [
    [{ replication_factor: 0 }, /params\.replication_factor: must be >= 1/],
    [{ replication_factor: 1.5 }, /params\.replication_factor/],
    [{ replication_factor: 4 }, /params\.replication_factor: is at most 3 on your plan/],
    [{ replication_factor: 8 }, /params\.replication_factor: is at most 7/],
    [{ write_consistency_factor: 2 }, /params\.write_consistency_factor: is at most the repl/],
    [{ replication_factor: 2, write_consistency_factor: 3 }, /write_consistency_factor/],
  ];
  for (const [params, text] of bad) {
    const { status, json } = await change(rig, params, { hnsw_config: { m: 48 } });
    assert.equal(status, 400, JSON.stringify(params));
    assert.match(json.status.error, text);
  }
  assert.deepEqual(await factorsOf(rig), [1, 1]);
  const { json } = await rig.call('GET', '/collections/c');
  assert.notEqual(json.result.config.hnsw_config.m, 48);
  assert.equal(rig.state.copiesChanged, 0);
  const missing = await rig.call('PATCH', '/collections/none', { params: {} });
  assert.equal(missing.status, 404);
});

test('copies that a plan no longer allows stay, until fewer are asked for', async (t) => {
  const rig = await startRig(t);
  await createSmall(rig);
  await change(rig, { replication_factor: 3 });
  rig.limits.replicas = 2;
  const kept = await change(rig, { write_consistency_factor: 2 });
  assert.deepEqual([kept.status, await factorsOf(rig)], [200, [3, 2]]);
  assert.equal((await change(rig, { replication_factor: 4 })).status, 400);
  assert.equal((await change(rig, { replication_factor: 2 })).status, 200);
  assert.equal((await change(rig, { replication_factor: 3 })).status, 400);
});

test('writes need as many copies in sync as the collection says, from the answer on', async (t) => {
  const rig = await startRig(t);
  await createSmall(rig);
  const write = () => rig.call('PUT', '/collections/c/points', POINTS);
  assert.equal((await write()).status, 200);
  await change(rig, { replication_factor: 2, write_consistency_factor: 2 });
  const refused = await write();
  assert.deepEqual([refused.status, refused.json.code], [503, 'unavailable']);
  assert.match(refused.json.status.error, /1 replica of this shard is in sync.* needs 2/);
  assert.equal((await rig.call('GET', '/collections/c/points/1')).status, 200);
  await change(rig, { write_consistency_factor: 1 });
  assert.equal((await write()).status, 200);
});

test('one more copy costs what its points cost to link, one less nothing', async (t) => {
  const rig = await startRig(t, { limits: { replicas: 4 } });
  await createSmall(rig);
  const points = Array.from({ length: 500 }, (_, id) => ({ id, vector: [1, 0, 0, 0] }));
  await rig.call('PUT', '/collections/c/points', { points });
  const spent: number[] = [];
  const { spend } = rig.work;
  rig.work.spend = (clientId, units) => {
    spent.push(units);
    spend.call(rig.work, clientId, units);
  };
  for (const replication_factor of [2, 4, 1]) await change(rig, { replication_factor });
  const [one = 0, two = 0, fewer = 0] = spent;
  assert.ok(one > fewer + 100, `${one} units`);
  // Units are whole: each sum is rounded.
  assert.ok(Math.abs(two - fewer - 2 * (one - fewer)) <= 2, `${two} units`);
});
