/** What holds for every endpoint: keys, places, deadlines, closing, health. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { AppError } from '../../shared/errors/app-error.ts';
import { CLIENT_A, createSmall, type DataRig, startRig } from './data-rig.ts';

const QUERY = { query: [1, 2, 3, 4] };

/** Holds every query until `release` is called. */
function holdQueries(rig: DataRig): { release: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  rig.worker.interfere = (name) => (name === 'points-query' ? promise : undefined);
  return { release: resolve };
}

async function waitUntil(holds: () => boolean): Promise<void> {
  for (let i = 0; i < 1_000 && !holds(); i += 1) await new Promise((next) => setImmediate(next));
  for (let i = 0; i < 500 && !holds(); i += 1) await new Promise((next) => setTimeout(next, 2));
  assert.ok(holds(), 'it came to hold in time');
}

test('a key is needed, in either header, also where nothing is', async (t) => {
  const rig = await startRig(t);
  for (const headers of [{ 'api-key': '' }, { 'api-key': 'wrong' }] as Record<string, string>[]) {
    for (const path of ['/collections', '/nowhere', '/collections/c/points/query']) {
      const answer = await rig.call('GET', path, undefined, headers);
      assert.equal(answer.status, 401);
      assert.equal(answer.headers.get('www-authenticate'), 'Bearer');
      assert.equal(answer.json.code, 'unauthenticated');
      assert.equal(answer.json.result, null);
    }
  }
  const bearer = await fetch(`${rig.url}/collections`, {
    headers: { authorization: 'Bearer a-live' },
  });
  assert.equal(bearer.status, 200);
  const none = await fetch(`${rig.url}/collections`);
  assert.equal(none.status, 401);
});

test('a wrong key is refused before the body is read', async (t) => {
  const rig = await startRig(t);
  const broken = await rig.call('PUT', '/collections/c/points', '{', { 'api-key': 'wrong' });
  assert.equal(broken.status, 401);
});

test("another client's collection, or mode, reads as missing, in the same words", async (t) => {
  const rig = await startRig(t);
  await createSmall(rig);
  const requests: [string, string, unknown?][] = [
    ['GET', '/collections/c'],
    ['PATCH', '/collections/c', {}],
    ['POST', '/collections/c/points/query', QUERY],
    ['PUT', '/collections/c/points', { points: [{ id: 1, vector: [1, 2, 3, 4] }] }],
    ['POST', '/collections/c/points/delete', { filter: {} }],
    ['POST', '/collections/c/points/vectors/delete', { points: [1], vector: [''] }],
    ['PUT', '/collections/c/index', { field_name: 'a', field_schema: 'keyword' }],
    ['GET', '/collections/c/aliases'],
  ];
  rig.worker.sent.length = 0;
  for (const [method, path, body] of requests) {
    for (const key of ['b-live', 'a-test']) {
      const foreign = await rig.call(method, path, body, { 'api-key': key });
      assert.equal(foreign.status, 404, `${method} ${path}`);
      const missing = await rig.call(method, path.replace(/\/c\b/, '/d'), body);
      const same = (text: string) => text.replace(/"time":[0-9.]+/, '').replace(/`[cd]`/, '');
      assert.equal(same(foreign.text), same(missing.text));
    }
  }
  assert.deepEqual(rig.worker.sent, []);
  const asOther = (method: string, path: string) =>
    rig.call(method, path, undefined, { 'api-key': 'b-live' });
  assert.deepEqual((await asOther('GET', '/collections')).json.result, { collections: [] });
  const exists = await asOther('GET', '/collections/c/exists');
  assert.deepEqual(exists.json.result, { exists: false });
  assert.equal((await asOther('DELETE', '/collections/c')).json.result, false);
  assert.equal((await rig.call('GET', '/collections/c')).status, 200);
});

test('more requests at once than the bound are 429; the others go on', async (t) => {
  const rig = await startRig(t, { perClientMax: 3 });
  await createSmall(rig);
  const hold = holdQueries(rig);
  const held = [1, 2, 3].map(() => rig.call('POST', '/collections/c/points/query', QUERY));
  await waitUntil(() => rig.worker.sent.filter(({ name }) => name === 'points-query').length === 3);
  const refused = await rig.call('POST', '/collections/c/points/query', QUERY);
  assert.deepEqual([refused.status, refused.json.code], [429, 'too_many_requests']);
  assert.equal(refused.headers.get('retry-after'), '1');
  const other = await rig.call('GET', '/collections', undefined, { 'api-key': 'b-live' });
  assert.equal(other.status, 200);
  hold.release();
  for (const answer of await Promise.all(held)) assert.equal(answer.status, 200);
  await waitUntil(() => rig.inFlight.count(CLIENT_A) === 0);
});

test('a client that hangs up keeps its place until the work ends', async (t) => {
  const rig = await startRig(t);
  await createSmall(rig);
  const hold = holdQueries(rig);
  const controller = new AbortController();
  const aborted = fetch(`${rig.url}/collections/c/points/query`, {
    method: 'POST',
    headers: { 'api-key': 'a-live', 'content-type': 'application/json' },
    body: JSON.stringify(QUERY),
    signal: controller.signal,
  });
  await waitUntil(
    () => rig.inFlight.count(CLIENT_A) === 1 && rig.worker.sent.at(-1)?.name === 'points-query',
  );
  controller.abort();
  await assert.rejects(aborted);
  const route = '/collections/:collection/points/query';
  await waitUntil(() =>
    rig.events.some(({ fields }) => 'route' in fields && fields.route === route),
  );
  assert.equal(rig.inFlight.count(CLIENT_A), 1);
  hold.release();
  await waitUntil(() => rig.inFlight.count(CLIENT_A) === 0);
});

test('refused, failed and cut-off requests give their places back', async (t) => {
  const rig = await startRig(t);
  await createSmall(rig);
  rig.worker.interfere = (name) => {
    if (name === 'points-count') throw new AppError('overloaded');
  };
  await rig.call('POST', '/collections/c/points/query', '{');
  await rig.call('POST', '/collections/c/points/query', { foo: 1 });
  await rig.call('POST', '/nowhere', {});
  await rig.call('POST', '/collections/c/points/count', {});
  // A body that is promised and never comes.
  const socket = connect(Number(new URL(rig.url).port), '127.0.0.1');
  socket.write(
    'POST /collections/c/points/query HTTP/1.1\r\nhost: x\r\napi-key: a-live\r\n' +
      'content-type: application/json\r\ncontent-length: 100\r\n\r\n{"query"',
  );
  await waitUntil(() => rig.inFlight.count(CLIENT_A) === 1);
  socket.destroy();
  await waitUntil(() => rig.inFlight.count(CLIENT_A) === 0);
});

test('codes of workers become statuses; what nobody planned is 500 without its text', async (t) => {
  const rig = await startRig(t);
  await createSmall(rig);
  const cases: [Error, number, string][] = [
    [new AppError('insufficient_storage'), 507, 'insufficient_storage'],
    [new AppError('unavailable'), 503, 'unavailable'],
    [new AppError('overloaded'), 503, 'overloaded'],
    [new AppError('deadline_exceeded'), 504, 'deadline_exceeded'],
    [new AppError('write_outcome_unknown'), 503, 'write_outcome_unknown'],
    [new Error('secret detail'), 500, 'internal'],
    [new AppError('internal', undefined, { detail: 'secret detail' }), 500, 'internal'],
  ];
  for (const [error, status, code] of cases) {
    rig.worker.interfere = () => {
      throw error;
    };
    const body = { points: [{ id: 1, vector: [1, 2, 3, 4] }] };
    const answer = await rig.call('PUT', '/collections/c/points', body);
    assert.deepEqual([answer.status, answer.json.code], [status, code]);
    assert.equal(answer.headers.get('retry-after'), status === 503 ? '1' : null);
    assert.ok(!answer.text.includes('secret'), answer.text);
  }
  const logged = rig.events.filter(({ event }) => event === 'request_failed');
  assert.equal(logged.length, 2);
  assert.match(JSON.stringify(logged[0]?.fields), /"route":"\/collections\/:collection\/points"/);
});

test('the deadline is the timeout asked for, within the bound, or the default', async (t) => {
  const rig = await startRig(t, { queryTimeoutMs: 2_000 });
  await createSmall(rig);
  const seen: number[] = [];
  rig.worker.interfere = (_name, deadline) => void seen.push(deadline.remainingMs());
  const points = { points: [{ id: 1, vector: [1, 2, 3, 4] }] };
  await rig.call('POST', '/collections/c/points/query', QUERY);
  await rig.call('POST', '/collections/c/points/query?timeout=1', QUERY);
  await rig.call('POST', '/collections/c/points/query?timeout=900', QUERY);
  await rig.call('PUT', '/collections/c/points', points);
  const seconds = seen.map((ms) => Math.ceil(ms / 1_000));
  assert.deepEqual(seconds, [2, 1, 5, 5]);
});

test('health needs no key; readiness says why not', async (t) => {
  const rig = await startRig(t);
  for (const path of ['/healthz', '/livez', '/readyz', '/']) {
    const answer = await fetch(`${rig.url}${path}`);
    assert.equal(answer.status, 200, path);
  }
  rig.state.notReady = 'no worker is connected';
  const answer = await fetch(`${rig.url}/readyz`);
  assert.equal(answer.status, 503);
  assert.equal(await answer.text(), 'no worker is connected');
  assert.equal((await fetch(`${rig.url}/livez`)).status, 200);
});

test('a body of the full size that is too large is answered, not cut off', async (t) => {
  const rig = await startRig(t);
  const body = `{"points":"${'x'.repeat(33 * 2 ** 20)}"}`;
  const answer = await rig.call('PUT', '/collections/c/points', body);
  assert.equal(answer.status, 413);
});

test('what is not HTTP gets one 400 and a closed connection', async (t) => {
  const rig = await startRig(t);
  const socket = connect(Number(new URL(rig.url).port), '127.0.0.1');
  socket.write('this is not http\r\n\r\n');
  let text = '';
  for await (const chunk of socket) text += chunk;
  assert.match(text, /^HTTP\/1\.1 400 Bad Request\r\n/);
  assert.match(text, /"code":"invalid_argument"/);
});

test('closing lets requests under way finish and refuses new ones', async (t) => {
  const rig = await startRig(t);
  await createSmall(rig);
  const hold = holdQueries(rig);
  const held = rig.call('POST', '/collections/c/points/query', QUERY);
  await waitUntil(() => rig.worker.sent.at(-1)?.name === 'points-query');
  const closed = rig.ending.close();
  hold.release();
  assert.equal((await held).status, 200);
  await closed;
  await assert.rejects(fetch(`${rig.url}/healthz`));
});
