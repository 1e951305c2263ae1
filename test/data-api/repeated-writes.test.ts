/** `Idempotency-Key` on writes of points: what is sent, what is refused, what binds a key. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AppError } from '../../shared/errors/app-error.ts';
import { type Answer, createSmall, type DataRig, startRig } from './data-rig.ts';

const POINTS = '/collections/c/points';
const VECTOR = [1, 2, 3, 4];
const IDS = [1, 2, 3];
const POINT = { id: 1, vector: VECTOR, payload: { a: 1 } };
const ALL = { filter: { must_not: [{ has_id: [77] }] } };

/** Every write of points, each changing points that are there. */
const WRITES: [method: string, path: string, body: object][] = [
  ['PUT', POINTS, { points: [POINT] }],
  ['POST', `${POINTS}/delete`, { points: [1] }],
  ['POST', `${POINTS}/delete`, ALL],
  ['POST', `${POINTS}/payload`, { payload: { b: 2 }, points: [1] }],
  ['POST', `${POINTS}/payload`, { payload: { b: 2 }, ...ALL }],
  ['PUT', `${POINTS}/payload`, { payload: { c: 3 }, points: [1] }],
  ['POST', `${POINTS}/payload/delete`, { keys: ['a'], points: [1] }],
  ['POST', `${POINTS}/payload/clear`, { points: [1] }],
  ['PUT', `${POINTS}/vectors`, { points: [{ id: 1, vector: VECTOR }] }],
  ['POST', `${POINTS}/batch`, { operations: [{ upsert: { points: [POINT] } }] }],
];

async function startFilled(t: Parameters<typeof startRig>[0]): Promise<DataRig> {
  const rig = await startRig(t);
  await createSmall(rig, 'Dot');
  const answer = await rig.call('PUT', POINTS, { points: IDS.map((id) => ({ ...POINT, id })) });
  assert.equal(answer.status, 200, answer.text);
  return rig;
}

const keyed = (key: string, more = {}) => ({ 'idempotency-key': key, ...more });
const said = ({ status, json }: Answer) => ({ status, result: json.result, code: json.code });
const versionOf = (rig: DataRig) => [...rig.worker.shards.values()][0]?.version;

for (const [method, path, body] of WRITES) {
  test(`${method} ${path} ${JSON.stringify(body).slice(0, 30)} takes effect once`, async (t) => {
    const rig = await startFilled(t);
    const first = await rig.call(method, path, body, keyed('k'));
    assert.equal(first.status, 200, first.text);
    await rig.call('PUT', POINTS, { points: [{ id: 9, vector: VECTOR }] });
    const before = versionOf(rig);
    const again = await rig.call(method, path, body, keyed('k'));
    assert.deepEqual(said(again), said(first));
    assert.equal(versionOf(rig), before);
    const other = await rig.call('PUT', POINTS, { points: [] }, keyed('k'));
    assert.deepEqual([other.status, other.json.code], [409, 'conflict'], other.text);
    const unkeyed = await rig.call(method, path, body);
    assert.notDeepEqual(said(unkeyed), said(first));
  });
}

test('another request under the key is refused, whatever makes it another', async (t) => {
  const rig = await startFilled(t);
  await createSmall(rig, 'Dot', 'd');
  const body = { points: [1] };
  const path = `${POINTS}/delete`;
  const first = await rig.call('POST', path, body, keyed('k'));
  assert.equal(first.status, 200, first.text);
  rig.worker.sent.length = 0;
  for (const [method, otherPath, otherBody] of [
    ['POST', path, { points: [2] }],
    ['POST', path, '{"points": [1]}'],
    ['POST', `${path}?wait=true`, body],
    ['POST', '/collections/d/points/delete', body],
    ['POST', `${POINTS}/payload/clear`, body],
  ] as const) {
    const answer = await rig.call(method, otherPath, otherBody, keyed('k'));
    assert.equal(answer.status, 409, `${method} ${otherPath}: ${answer.text}`);
    assert.match(answer.json.status.error, /Idempotency-Key/);
  }
  assert.deepEqual(rig.worker.sent, []);
});

test('clients and modes have keys of their own, namespaces have not', async (t) => {
  const rig = await startFilled(t);
  const everywhere = keyed('k', { 'api-key': 'a-live-everywhere' });
  const [inEu, inUs] = ['eu', 'us'].map((name) => ({ ...everywhere, 'x-namespace': name }));
  for (const headers of [{ 'api-key': 'a-test' }, { 'api-key': 'b-live' }, inEu, inUs]) {
    const body = { vectors: { size: 4, distance: 'Dot' } };
    const made = await rig.call('PUT', '/collections/c', body, headers);
    assert.equal(made.status, 200, made.text);
  }
  const write = (headers: Record<string, string> | undefined, points = [POINT]) => {
    return rig.call('PUT', POINTS, { points }, headers);
  };
  assert.equal((await write(keyed('k'))).status, 200);
  for (const key of ['a-test', 'b-live']) {
    assert.equal((await write(keyed('k', { 'api-key': key }), [])).status, 200, key);
  }
  assert.equal((await write(inEu)).status, 409);
  assert.equal((await write(keyed('k', { 'api-key': 'a-live-writer' }))).status, 200);
});

test('what was refused before it was sent does not bind the key', async (t) => {
  const rig = await startFilled(t);
  const wrong = await rig.call('PUT', POINTS, { points: [{ id: 1, vector: [1] }] }, keyed('k'));
  assert.equal(wrong.status, 400, wrong.text);
  const missing = await rig.call('PUT', '/collections/none/points', { points: [] }, keyed('k'));
  assert.equal(missing.status, 404, missing.text);
  const right = await rig.call('PUT', POINTS, { points: [POINT] }, keyed('k'));
  assert.equal(right.status, 200, right.text);
});

test('a header that is no key is refused', async (t) => {
  const rig = await startFilled(t);
  for (const key of ['', 'two words', 'x'.repeat(256), 'ü']) {
    const answer = await rig.call('PUT', POINTS, { points: [POINT] }, keyed(key));
    assert.equal(answer.status, 400, JSON.stringify(key));
  }
  const longest = await rig.call('PUT', POINTS, { points: [POINT] }, keyed('x'.repeat(255)));
  assert.equal(longest.status, 200, longest.text);
});

test('only a write that has the header carries anything or writes anything of it', async (t) => {
  const rig = await startFilled(t);
  rig.worker.sent.length = 0;
  const put = (headers = {}) => rig.call('PUT', POINTS, { points: [POINT] }, headers);
  await put();
  await put(keyed('k'));
  await rig.call('POST', `${POINTS}/query`, { query: VECTOR }, keyed('bad key'));
  const onces = rig.worker.sent.flatMap(({ name, body }) => {
    return name === 'points-upsert' ? [(body as { once?: object }).once !== undefined] : [];
  });
  assert.deepEqual(onces, [false, true]);
});

test('of a batch what was done stays done, and the rest is done by the repetition', async (t) => {
  const rig = await startFilled(t);
  const set = (n: number) => ({ set_payload: { payload: { n }, points: [1] } });
  const body = { operations: [set(1), { upsert: { points: [] } }, set(2), set(3)] };
  let left = 2;
  rig.worker.interfere = (name) => {
    if (name !== 'payload-update') return;
    left -= 1;
    if (left < 0) throw new AppError('write_outcome_unknown');
  };
  const failed = await rig.call('POST', `${POINTS}/batch`, body, keyed('k'));
  assert.equal(failed.status, 503, failed.text);
  rig.worker.interfere = () => undefined;
  const before = versionOf(rig) ?? 0;
  const answer = await rig.call('POST', `${POINTS}/batch`, body, keyed('k'));
  const versions = answer.json.result.map((one: { operation_id: number }) => one.operation_id);
  assert.ok(versions[0] < versions[2] && versions[1] === null, answer.text);
  assert.ok(versions[2] <= before && versions[3] > before, answer.text);
  assert.deepEqual(said(await rig.call('POST', `${POINTS}/batch`, body, keyed('k'))), said(answer));
});

test('a large body is compared by all its bytes', async (t) => {
  const rig = await startFilled(t);
  const bodyOf = (last: string) => {
    const payload = { text: `${'x'.repeat(900_000)}${last}` };
    return { points: [1, 2].map((id) => ({ id, vector: VECTOR, payload })) };
  };
  const put = (last: string) => rig.call('PUT', POINTS, bodyOf(last), keyed('k'));
  const first = await put('a');
  assert.equal(first.status, 200, first.text);
  assert.deepEqual(said(await put('a')), said(first));
  assert.equal((await put('b')).status, 409);
});

test('a repetition is answered when the quota is used up by what it repeats', async (t) => {
  const rig = await startRig(t, { limits: { points: 2 } });
  await createSmall(rig, 'Dot');
  const points = [POINT, { ...POINT, id: 2 }];
  const first = await rig.call('PUT', POINTS, { points }, keyed('k'));
  assert.equal(first.status, 200, first.text);
  await rig.call('POST', `${POINTS}/delete`, { points: [1, 2] });
  await rig.call('PUT', POINTS, { points: [{ ...POINT, id: 3 }] });
  await rig.call('PUT', POINTS, { points: [{ ...POINT, id: 4 }] });
  assert.deepEqual(said(await rig.call('PUT', POINTS, { points }, keyed('k'))), said(first));
});
