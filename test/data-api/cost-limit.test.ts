/** Legal requests that ask for much: bounded by what they cost, not by how many they are. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../shared/base/clock.ts';
import { createSmall, startRig } from './data-rig.ts';

test('a client that has spent its work waits, and only for what costs', async (t) => {
  const clock = new ManualClock();
  const rig = await startRig(t, { limits: { cost_per_second: 10 }, clock });
  await createSmall(rig);
  clock.advance(10_000);
  const query = [1, 0, 0, 0];
  const large = (limit: number, key = 'a-live') => {
    const body = { query, limit };
    return rig.call('POST', '/collections/c/points/query', body, { 'api-key': key });
  };
  assert.equal((await large(5_900)).status, 200, '60 of 100 units');
  const sent = rig.worker.sent.length;
  const refused = await large(5_900);
  assert.deepEqual([refused.status, refused.json.code], [429, 'rate_limited']);
  assert.match(refused.json.status.error, /costs 60 units of work.* its 10 a second/);
  assert.equal(refused.headers.get('retry-after'), '2');
  assert.equal(rig.worker.sent.length, sent, 'no worker heard of it');
  assert.equal((await large(10)).status, 200, 'a plain search costs nothing of it');
  assert.equal((await large(5_900, 'b-live')).status, 404, 'nobody else waits');
  clock.advance(2_000);
  assert.equal((await large(5_900)).status, 200);
});

test('what costs more than can be saved up passes when all is saved up', async (t) => {
  const clock = new ManualClock();
  const rig = await startRig(t, { limits: { cost_per_second: 2 }, clock });
  await createSmall(rig);
  clock.advance(10_000);
  const searches = Array.from({ length: 128 }, () => ({ query: [1, 0, 0, 0] }));
  const batch = () => rig.call('POST', '/collections/c/points/query/batch', { searches });
  assert.deepEqual([(await batch()).status, (await batch()).status], [200, 429]);
  clock.advance(10_000);
  assert.equal((await batch()).status, 200);
});

test('the other requests that can be large are counted as well', async (t) => {
  const clock = new ManualClock();
  const rig = await startRig(t, { limits: { cost_per_second: 2 }, clock });
  await createSmall(rig);
  const points = Array.from({ length: 2_000 }, (_, id) => ({ id, vector: [1, id, 0, 0] }));
  const ids = points.map(({ id }) => id);
  const filter = { must: Array.from({ length: 400 }, () => ({ key: 'a', match: { value: 1 } })) };
  const requests: [method: string, path: string, body: object][] = [
    ['PUT', '/points', { points }],
    ['POST', '/points', { ids }],
    ['POST', '/points/scroll', { limit: 2_000 }],
    ['POST', '/points/count', { filter }],
    ['POST', '/points/delete', { points: ids }],
    ['POST', '/points/payload', { payload: { a: 1 }, points: ids }],
    ['POST', '/points/batch', { operations: [{ delete: { points: ids } }] }],
    ['PATCH', '', {}],
  ];
  for (const [method, path, body] of requests) {
    clock.advance(10_000);
    const ask = () => rig.call(method, `/collections/c${path}`, body);
    const [first, second] = [await ask(), await ask()];
    assert.notEqual(first.status, 429, `${method} ${path}`);
    assert.deepEqual([second.status, second.json.code], [429, 'rate_limited'], `${method} ${path}`);
  }
});
