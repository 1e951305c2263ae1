/** Legal requests that ask for much: bounded by what they cost, not by how many they are. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../shared/base/clock.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import { CLIENT_A, createSmall, startRig } from './data-rig.ts';

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
  assert.equal((await large(5_900)).status, 200, 'a quarter of 100 is enough; it owes 20');
  const sent = rig.worker.sent.length;
  const refused = await large(5_900);
  assert.deepEqual([refused.status, refused.json.code], [429, 'rate_limited']);
  assert.match(refused.json.status.error, /costs 60 units of work.* its 10 a second/);
  assert.equal(refused.headers.get('retry-after'), '5');
  assert.equal(rig.worker.sent.length, sent, 'no worker heard of it');
  assert.equal((await large(10)).status, 200, 'a plain search costs nothing of it');
  assert.equal((await large(5_900, 'b-live')).status, 404, 'nobody else waits');
  clock.advance(5_000);
  assert.equal((await large(5_900)).status, 200);
});

test('what costs more than can be saved up passes, and is paid off afterwards', async (t) => {
  const clock = new ManualClock();
  const rig = await startRig(t, { limits: { cost_per_second: 2 }, clock });
  await createSmall(rig);
  clock.advance(10_000);
  const searches = Array.from({ length: 128 }, () => ({ query: [1, 0, 0, 0] }));
  const batch = () => rig.call('POST', '/collections/c/points/query/batch', { searches });
  assert.equal((await batch()).status, 200);
  const owing = await batch();
  assert.deepEqual(
    [owing.status, owing.headers.get('retry-after')],
    [429, '63'],
    'it owes 120, and needs 5',
  );
  assert.equal(owing.headers.get('ratelimit')?.split(', ')[1], '"work";r=0;t=70');
  assert.match(owing.headers.get('ratelimit-policy') ?? '', /, "work";q=20;w=10$/);
  clock.advance(62_000);
  assert.equal((await batch()).status, 429);
  clock.advance(1_000);
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
    ['POST', '/points/delete', { filter }],
    ['PATCH', '', {}],
  ];
  for (const [method, path, body] of requests) {
    clock.advance(4_000_000);
    const ask = () => rig.call(method, `/collections/c${path}`, body);
    const [first, second] = [await ask(), await ask()];
    assert.notEqual(first.status, 429, `${method} ${path}`);
    assert.deepEqual([second.status, second.json.code], [429, 'rate_limited'], `${method} ${path}`);
  }
});

const FILTER = { must: [{ key: 'a', match: { value: 1 } }] };

test('what a filter had to look at is paid for afterwards, by who asked', async (t) => {
  const clock = new ManualClock();
  const rig = await startRig(t, { limits: { cost_per_second: 10 }, clock });
  await createSmall(rig);
  clock.advance(10_000);
  for (const shard of rig.worker.shards.values()) shard.examined = 80_000;
  const requests: [path: string, body: object][] = [
    ['count', { filter: FILTER }],
    ['scroll', { filter: FILTER }],
    ['query', { query: [1, 0, 0, 0], filter: FILTER }],
    ['query/batch', { searches: [{ query: [1, 0, 0, 0], filter: FILTER }] }],
  ];
  for (const [path, body] of requests) {
    const ask = (what: object) => rig.call('POST', `/collections/c/points/${path}`, what);
    assert.equal((await ask(body)).status, 200, path);
    const owing = await ask(body);
    assert.deepEqual([owing.status, owing.json.code], [429, 'rate_limited'], path);
    const wait = Number(owing.headers.get('retry-after'));
    assert.ok(wait > 85 && wait <= 100, `${path}: 1,000 units are owed, ${wait} s`);
    const plain = { query: [1, 0, 0, 0] };
    const free = await rig.call('POST', '/collections/c/points/query', plain);
    assert.equal(free.status, 200, 'a plain search goes on');
    clock.advance(200_000);
  }
});

test('what the latest filter cost is taken before the next, and given back if it costs less', async (t) => {
  const clock = new ManualClock();
  const rig = await startRig(t, { limits: { cost_per_second: 10 }, clock });
  await createSmall(rig);
  const [shard] = rig.worker.shards.values();
  assert.ok(shard !== undefined);
  shard.examined = 80_000;
  const count = async () => {
    const body = { filter: FILTER };
    return (await rig.call('POST', '/collections/c/points/count', body)).status;
  };
  clock.advance(200_000);
  assert.equal(await count(), 200);
  clock.advance(200_000);
  shard.examined = 0;
  const sent = rig.worker.sent.length;
  const released = Promise.withResolvers<void>();
  rig.worker.interfere = () => released.promise;
  const first = count();
  while (rig.worker.sent.length === sent) await new Promise((resume) => setImmediate(resume));
  assert.deepEqual(await Promise.all([count(), count()]), [429, 429], 'before it is answered');
  released.resolve();
  assert.equal(await first, 200);
  assert.deepEqual([await count(), await count()], [200, 200], 'it was given back');
});

test('collections that are made are counted as well', async (t) => {
  const clock = new ManualClock();
  const { call } = await startRig(t, { limits: { cost_per_second: 1 }, clock });
  const make = (name: string) => {
    return call('PUT', `/collections/${name}`, { vectors: { size: 4, distance: 'Dot' } });
  };
  assert.deepEqual([(await make('a')).status, (await make('b')).status], [200, 429]);
});

test('a filter that does not come to its end in time is paid for by the time', async (t) => {
  const clock = new ManualClock();
  const rig = await startRig(t, { limits: { cost_per_second: 10 }, clock });
  await createSmall(rig);
  clock.advance(10_000);
  rig.worker.interfere = () => {
    throw new AppError('deadline_exceeded');
  };
  const count = () => rig.call('POST', '/collections/c/points/count', { filter: FILTER });
  const slow = count();
  clock.advance(5_000);
  assert.equal((await slow).status, 504);
  rig.worker.interfere = () => undefined;
  assert.notEqual((await count()).status, 504);
});

const MIB = 2 ** 20;

function putLarge(url: string, init: RequestInit): Promise<Response> {
  const headers = { 'api-key': 'a-live', 'content-type': 'application/json' };
  return fetch(`${url}/collections/c/points`, { method: 'PUT', headers, ...init });
}

test('a large body is paid for when it is announced, one of unknown length as it comes', async (t) => {
  const clock = new ManualClock();
  const rig = await startRig(t, { limits: { cost_per_second: 4 }, clock });
  await createSmall(rig);
  clock.advance(60_000);
  const large = ' '.repeat(MIB);
  assert.equal((await putLarge(rig.url, { body: large })).status, 400, '32 of 40 units');
  const second = await putLarge(rig.url, { body: large });
  assert.equal(second.status, 429);
  assert.match(await second.text(), /a body of this length needs 30 units of work to be left/);
  clock.advance(60_000);
  const chunked = () => {
    const body = new Blob([large, large]).stream();
    return putLarge(rig.url, { body, duplex: 'half' } as RequestInit);
  };
  assert.equal((await chunked()).status, 429, 'in the middle: what it may ask for is not left');
  clock.advance(60_000);
  rig.limits.cost_per_second = 100;
  assert.equal((await chunked()).status, 400);
});

test('who waits as long as it is told loads as much as its rate allows', async (t) => {
  const clock = new ManualClock();
  const rig = await startRig(t, { limits: { cost_per_second: 200 }, clock });
  await createSmall(rig);
  clock.advance(60_000);
  const points = Array.from({ length: 2_400 }, (_, id) => ({ id, vector: [1, id, 0, 0] }));
  const body = `${' '.repeat(4 * MIB)}${JSON.stringify({ points })}`;
  let accepted = 0;
  for (let asked = 0; asked < 40 && accepted < 10; asked += 1) {
    const answer = await putLarge(rig.url, { body });
    await answer.text();
    if (answer.status === 200) accepted += 1;
    else clock.advance(1_000 * Number(answer.headers.get('retry-after')));
  }
  assert.equal(accepted, 10);
});

test('a client that is erased while its request is under way harms nobody', async (t) => {
  const rig = await startRig(t);
  await createSmall(rig);
  for (const shard of rig.worker.shards.values()) shard.examined = 80_000;
  rig.worker.interfere = () => {
    rig.gone.add(CLIENT_A);
  };
  const ask = () => rig.call('POST', '/collections/c/points/count', { filter: FILTER });
  assert.equal((await ask()).status, 200);
  assert.equal((await ask()).status, 401);
});
