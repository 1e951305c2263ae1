/** What a plan allows of points and bytes, for those who write one by one and all at once. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { DataPlane } from '../../coordinator/data-plane/data-plane.ts';
import { upsertWrite } from '../../coordinator/data-plane/writes.ts';
import { Tally } from '../../coordinator/limits/tally.ts';
import { must } from '../../shared/base/assert.ts';
import { systemClock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import type { KeyId, RequestId } from '../../shared/base/ids.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { ErrorCode } from '../../shared/errors/codes.ts';
import { takeSeed } from '../harness/seed.ts';
import { type Answer, CLIENT_A, createSmall, type DataRig, startRig } from './data-rig.ts';

const VECTOR = [1, 2, 3, 4];
const VECTOR_BYTES = 4 * VECTOR.length;

function put(
  rig: DataRig,
  ids: number[],
  { name = 'c', payload = {} as object, key = 'a-live' } = {},
) {
  const points = ids.map((id) => ({ id, vector: VECTOR, payload }));
  return rig.call('PUT', `/collections/${name}/points`, { points }, { 'api-key': key });
}

function remove(rig: DataRig, points: number[], name = 'c'): Promise<Answer> {
  return rig.call('POST', `/collections/${name}/points/delete`, { points });
}

function setPayload(rig: DataRig, body: object): Promise<Answer> {
  return rig.call('POST', '/collections/c/points/payload', body);
}

function assertRefused({ status, json }: Answer, text: RegExp): void {
  assert.deepEqual([status, json.code], [403, 'quota_exceeded'], JSON.stringify(json));
  assert.match(json.status.error, text);
}

const assertDone = ({ status, text }: Answer) => assert.equal(status, 200, text);

function stored(rig: DataRig): number {
  return [...rig.worker.shards.values()].reduce((sum, { points }) => sum + points.size, 0);
}

const asked = (rig: DataRig) => rig.worker.sent.filter(({ name }) => name === 'shard-usage').length;

/** Every message takes some turns of the event loop, so that answers come in any order. */
function scatter(t: TestContext, rig: DataRig, seed: number): SeededRandom {
  const random = new SeededRandom(takeSeed(t, seed));
  const wait = async () => {
    for (let turns = random.below(8); turns > 0; turns -= 1) await new Promise(setImmediate);
  };
  rig.worker.interfere = wait;
  rig.worker.holdAnswer = wait;
  return random;
}

/** From now on the outcome of the next write of that kind is lost, after it was made or before. */
function loseNext(
  rig: DataRig,
  kind: string,
  when: 'before' | 'after',
  code: ErrorCode = 'write_outcome_unknown',
): void {
  const { worker } = rig;
  const request = worker.request.bind(worker);
  worker.request = async (route, name, body, vectors, deadline) => {
    if (name !== kind) return request(route, name, body, vectors, deadline);
    worker.request = request;
    if (when === 'after') await request(route, name, body, vectors, deadline);
    throw new AppError(code);
  };
}

test('as many points as the plan says; replacing and deleting go on', async (t) => {
  const rig = await startRig(t, { limits: { points: 3 } });
  await createSmall(rig);
  await createSmall(rig, 'Dot', 'd');
  assertDone(await put(rig, [1, 2]));
  assertRefused(await put(rig, [3, 4]), /allows 3 points, of which 2 are used; .* add 2 points/);
  assertDone(await put(rig, [3], { name: 'd' }));
  assertRefused(await put(rig, [4]), /3 points, of which 3 are used.*delete some/);
  assertDone(await put(rig, [1, 2], { payload: { more: 'text' } }));
  assertRefused(await put(rig, [2, 4]), /3 points/);
  assertDone(await remove(rig, [1]));
  assertDone(await put(rig, [4]));
  assertRefused(await put(rig, [5], { name: 'd' }), /3 points/);
  assert.equal(asked(rig), 0, 'all of it is known from the answers');
  assertDone(await rig.call('DELETE', '/collections/c'));
  assertDone(await put(rig, [5, 6], { name: 'd' }));
  assertRefused(await put(rig, [7], { name: 'd' }), /3 points/);
  assert.equal(asked(rig), 1, 'only for what the writes of the deleted one came to');
});

test('test data and other clients are not counted, and a new limit holds at once', async (t) => {
  const rig = await startRig(t, { limits: { points: 2 } });
  await createSmall(rig);
  for (const key of ['a-test', 'b-live']) {
    const small = { vectors: { size: 4, distance: 'Dot' } };
    assertDone(await rig.call('PUT', '/collections/c', small, { 'api-key': key }));
  }
  assertDone(await put(rig, [1, 2]));
  assertDone(await put(rig, [1, 2, 3, 4, 5], { key: 'a-test' }));
  assertDone(await put(rig, [1, 2], { key: 'b-live' }));
  assertRefused(await put(rig, [3]), /2 points/);
  rig.limits.points = 4;
  assertDone(await put(rig, [3, 4]));
  rig.limits.points = 1;
  assertRefused(await put(rig, [5]), /allows 1 points, of which 4 are used/);
  assertDone(await put(rig, [4]));
  await remove(rig, [1, 2, 3]);
  assertRefused(await put(rig, [5]), /1 points/);
  assertDone(await remove(rig, [4]));
  assertDone(await put(rig, [5]));
});

test('bytes are those of vectors and payloads, by whichever way they come', async (t) => {
  const payload = { text: 'x'.repeat(100) };
  const size = VECTOR_BYTES + JSON.stringify(payload).length;
  const rig = await startRig(t, { limits: { bytes: 2 * size } });
  await createSmall(rig);
  assertDone(await put(rig, [1, 2], { payload }));
  assertRefused(
    await put(rig, [3]),
    new RegExp(`${2 * size} bytes, of which ${2 * size} are used`),
  );
  assertRefused(await put(rig, [1], { payload: { text: 'x'.repeat(101) } }), /bytes/);
  assertRefused(await setPayload(rig, { payload: { a: 1 }, points: [1] }), /bytes/);
  assertRefused(await setPayload(rig, { payload: { a: 1 }, filter: {} }), /some of the points may/);
  assertDone(await setPayload(rig, { payload: { text: 'short' }, points: [1] }));
  assertDone(await setPayload(rig, { payload: { a: 1 }, points: [2] }));
  assertDone(await rig.call('POST', '/collections/c/points/payload/clear', { points: [1, 2] }));
  assertDone(await setPayload(rig, { payload: { a: 1 }, filter: {} }));
  assertDone(await put(rig, [3, 4]));
});

test('each operation of a batch is counted by itself', async (t) => {
  const rig = await startRig(t, { limits: { points: 2 } });
  await createSmall(rig);
  const upsert = (id: number) => ({ upsert: { points: [{ id, vector: VECTOR }] } });
  const batch = (operations: object[]) => {
    return rig.call('POST', '/collections/c/points/batch', { operations });
  };
  assertDone(await batch([upsert(1), upsert(2), { delete: { points: [1] } }, upsert(3)]));
  assertRefused(await batch([{ delete: { points: [2] } }, upsert(4), upsert(5)]), /2 points/);
  assert.equal(stored(rig), 2);
});

test('any number of writers stores exactly the quota, and never more on the way', async (t) => {
  const quota = 150;
  const rig = await startRig(t, { limits: { points: quota } });
  const names = ['c', 'd', 'e', 'f'];
  for (const name of names) await createSmall(rig, 'Dot', name);
  const random = scatter(t, rig, 20261127);
  let most = 0;
  const answers: Answer[] = [];
  const write = async (writer: number): Promise<void> => {
    for (let round = 0; round < 12; round += 1) {
      const name = names[random.below(names.length)] ?? 'c';
      // Half of what is written may be there already, from any writer.
      const ids = Array.from({ length: 1 + random.below(4) }, () => random.below(120));
      answers.push(await put(rig, [...new Set(ids)], { name }));
      most = Math.max(most, stored(rig));
      if (writer % 5 === 0 && round % 4 === 3)
        assertDone(await remove(rig, [random.below(120)], name));
    }
  };
  await Promise.all(Array.from({ length: 50 }, (_, writer) => write(writer)));
  assert.ok(most <= quota, `${most} points`);
  const refused = answers.filter(({ status }) => status !== 200);
  for (const answer of refused) assertRefused(answer, /150 points/);
  assert.ok(refused.length > 20, `${refused.length} refused`);
  for (let id = 1_000; stored(rig) < quota; id += 1) assertDone(await put(rig, [id]));
  assertRefused(await put(rig, [9_999]), /150 points, of which 150 are used/);
  assert.equal(asked(rig), 0);
});

test('nobody is refused for what others were promised and do not need', async (t) => {
  const rig = await startRig(t, { limits: { points: 110 } });
  await createSmall(rig);
  const there = Array.from({ length: 100 }, (_, id) => id);
  assertDone(await put(rig, there));
  const random = scatter(t, rig, 20261128);
  let writing = true;
  const replace = async (): Promise<void> => {
    while (writing) {
      const from = random.below(80);
      assertDone(await put(rig, there.slice(from, from + 20)));
    }
  };
  const replacing = Array.from({ length: 8 }, replace);
  const added = Array.from({ length: 10 }, async (_, i) => assertDone(await put(rig, [1_000 + i])));
  await Promise.all(added);
  assertRefused(await put(rig, [2_000]), /110 points, of which 110 are used/);
  writing = false;
  await Promise.all(replacing);
});

test('far from the quota a write carries no room; near it what is left', async (t) => {
  const rig = await startRig(t, { limits: { points: 4 } });
  await createSmall(rig);
  assertDone(await put(rig, [1, 2, 3]));
  assertDone(await put(rig, [1, 2, 3, 4]));
  const rooms = rig.worker.sent
    .filter(({ name }) => name === 'points-upsert')
    .map(({ body }) => (body as { room?: object }).room);
  assert.equal(rooms[0], undefined);
  assert.equal((rooms[1] as { points: number }).points, 1);
  assertDone(await setPayload(rig, { payload: { a: 1 }, filter: {} }));
  const { body } = must(rig.worker.sent.at(-1), 'it was sent');
  const all = 4 * JSON.stringify({ a: 1 }).length;
  const { room } = body as { room?: object };
  assert.deepEqual(room, { points: 0, bytes: all }, 'a filter may match more than is known');
});

for (const when of ['before', 'after'] as const) {
  test(`an outcome that is lost ${when} the write was made is asked for near the quota`, async (t) => {
    const rig = await startRig(t, { limits: { points: 10 } });
    await createSmall(rig);
    assertDone(await put(rig, [1]));
    loseNext(rig, 'points-upsert', when);
    assert.equal((await put(rig, [2, 3, 4])).status, 503);
    assertDone(await put(rig, [5]));
    assert.equal(asked(rig), 0, 'there is enough left');
    assertDone(await put(rig, [11, 12, 13, 14, 15]));
    assert.equal(asked(rig), when === 'before' ? 0 : 1, 'what is in doubt is kept free');
    const left = 10 - stored(rig);
    const more = Array.from({ length: left }, (_, i) => 20 + i);
    if (left > 0) assertDone(await put(rig, more));
    assertRefused(await put(rig, [99]), /10 points, of which 10 are used/);
    assert.equal(asked(rig), 1, 'once');
  });
}

test('a write that timed out keeps its promise until its shard is asked', async (t) => {
  const rig = await startRig(t, { limits: { points: 4 } });
  await createSmall(rig);
  loseNext(rig, 'points-upsert', 'after', 'deadline_exceeded');
  assert.equal((await put(rig, [1, 2, 3])).status, 504);
  assertDone(await put(rig, [4]));
  assertRefused(await put(rig, [5]), /4 points, of which 4 are used/);
  assert.equal(stored(rig), 4);
  assert.equal(asked(rig), 1);
});

test('a change by filter leaves room for others while it is under way', async (t) => {
  const rig = await startRig(t, { limits: { bytes: 100_000_000 } });
  await createSmall(rig);
  await createSmall(rig, 'Dot', 'd');
  const ids = Array.from({ length: 200 }, (_, i) => i + 1);
  assertDone(await put(rig, ids));
  const underWay = Promise.withResolvers<void>();
  const released = Promise.withResolvers<void>();
  rig.worker.interfere = (name) => {
    if (name !== 'payload-update') return undefined;
    underWay.resolve();
    return released.promise;
  };
  const filter = { must_not: [{ has_id: [0] }] };
  const body = { payload: { y: 1 }, key: 'items[]', filter };
  const change = rig.call('POST', '/collections/c/points/payload', body);
  await underWay.promise;
  assertDone(await put(rig, [1, 2, 3], { name: 'd' }));
  released.resolve();
  assertDone(await change);
});

test('room that a delete of unknown outcome made is found', async (t) => {
  const rig = await startRig(t, { limits: { points: 2 } });
  await createSmall(rig);
  assertDone(await put(rig, [1, 2]));
  loseNext(rig, 'points-delete', 'after');
  assert.equal((await remove(rig, [1])).status, 503);
  assertDone(await put(rig, [3]));
  assertRefused(await put(rig, [4]), /2 points/);
  assert.equal(asked(rig), 1);
});

function runUpsert(plane: DataPlane, collection: string, id: number): Promise<unknown> {
  const keyId = 'key_aaaaaaaaaaaaaaaa' as KeyId;
  const owner = {
    clientId: CLIENT_A,
    mode: 'live',
    namespace: 'default',
    keyId,
    tally: new Tally(),
    requestId: 'req_aaaaaaaaaaaaaaaa' as RequestId,
  } as const;
  const call = { owner, collection, deadline: Deadline.after(systemClock, 5_000) };
  return plane.writes.run(call, upsertWrite({ points: [{ id, vector: VECTOR }] }));
}

test('a coordinator that starts asks every live shard once, when a write needs it', async (t) => {
  const rig = await startRig(t, { limits: { points: 6 } });
  for (const name of ['c', 'd', 'e']) await createSmall(rig, 'Dot', name);
  assertDone(await put(rig, [1, 2]));
  assertDone(await put(rig, [1, 2], { name: 'd' }));
  const plane = rig.openPlane();
  assert.equal(asked(rig), 0);
  const first = await Promise.allSettled([3, 4, 5, 6].map((id) => runUpsert(plane, 'c', id)));
  assert.equal(first.filter(({ status }) => status === 'fulfilled').length, 2);
  assert.equal(
    asked(rig),
    4,
    'each of three shards, and the one that is written to for its version',
  );
  await assert.rejects(runUpsert(plane, 'e', 1), { code: 'quota_exceeded' });
  await runUpsert(plane, 'c', 1);
  assert.equal(asked(rig), 4);
  const used = { points: 6, bytes: 6 * VECTOR_BYTES + 4 * '{}'.length, collections: 3 };
  const usage = await plane.usageOf({ clientId: CLIENT_A, mode: 'live' });
  assert.deepEqual(usage.points, used.points);
});

test('what a client uses can be asked for, from shards that were never written to', async (t) => {
  const rig = await startRig(t);
  for (const name of ['c', 'd']) await createSmall(rig, 'Dot', name);
  const payload = { a: 'b' };
  assertDone(await put(rig, [1, 2], { payload }));
  assertDone(await put(rig, [1], { name: 'd', payload }));
  const bytes = 3 * (VECTOR_BYTES + JSON.stringify(payload).length);
  const plane = rig.openPlane();
  assert.deepEqual(await plane.usageOf({ clientId: CLIENT_A, mode: 'live' }), {
    points: 3,
    bytes,
    collections: 2,
    namespaces: 1,
  });
  await plane.usageOf({ clientId: CLIENT_A, mode: 'live' });
  assert.equal(asked(rig), 2);
  assertDone(await rig.call('DELETE', '/collections/d'));
  assert.deepEqual(await rig.openPlane().usageOf({ clientId: CLIENT_A, mode: 'live' }), {
    points: 2,
    bytes: (bytes * 2) / 3,
    collections: 1,
    namespaces: 1,
  });
});
