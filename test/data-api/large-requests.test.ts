/** Bodies and replies that are parsed and written in slices say the same as small ones. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { test } from 'node:test';
import { CLIENT_A, createSmall, type DataRig, startRig } from './data-rig.ts';

const DIMENSION = 256;
const POINTS = 1_200;
const vectorOf = (id: number) =>
  Array.from({ length: DIMENSION }, (_, i) => Math.fround(Math.sin(id + i)));
const points = Array.from({ length: POINTS }, (_, id) => ({
  id,
  vector: vectorOf(id),
  payload: { text: `"\u007f ${id}` },
}));

async function createWide(rig: DataRig): Promise<void> {
  const body = { vectors: { size: DIMENSION, distance: 'Dot' } };
  assert.equal((await rig.call('PUT', '/collections/c', body)).status, 200);
}

test('a large batch arrives exactly, in either form, and is scrolled exactly', async (t) => {
  const rig = await startRig(t);
  await createWide(rig);
  const list = JSON.stringify({ points });
  const batch = JSON.stringify({
    batch: {
      ids: points.map(({ id }) => id),
      vectors: points.map(({ vector }) => vector),
      payloads: points.map(({ payload }) => payload),
    },
  });
  for (const body of [list, batch, batch.replace('"ids":[0,', '"ids":[18446744073709551615,')]) {
    assert.ok(body.length > 2 ** 20);
    const stored = await rig.call('PUT', '/collections/c/points', body);
    assert.equal(stored.status, 200, stored.text.slice(0, 200));
  }
  const scrolled = await rig.call('POST', '/collections/c/points/scroll', {
    limit: 10_000,
    with_vector: true,
  });
  assert.equal(scrolled.status, 200);
  assert.equal(Number(scrolled.headers.get('content-length')), Buffer.byteLength(scrolled.text));
  assert.ok(scrolled.text.length > 3 * 2 ** 20, 'more than one segment');
  const records = scrolled.json.result.points;
  assert.equal(records.length, POINTS + 1);
  assert.ok(scrolled.text.includes('"id":18446744073709551615,'));
  for (const { id, vector, payload } of records.slice(0, POINTS)) {
    assert.deepEqual(vector.map(Math.fround), vectorOf(id));
    assert.deepEqual(payload, points[id]?.payload);
  }
});

test('a large body that is wrong is refused like a small one', async (t) => {
  const rig = await startRig(t);
  await createWide(rig);
  rig.worker.sent.length = 0;
  const body = JSON.stringify({ points });
  const cases: [string, RegExp][] = [
    [body.slice(0, -1), /not valid near byte [0-9]+/],
    [`${body}x`, /not valid near byte/],
    [body.replace('"id":700,', '"id":700,,'), /not valid near byte/],
    [body.replace('"text"', '"__proto__"'), /"__proto__" is not allowed/],
    [body.replace('"id":700,', '"id":-1,'), /points\[700\].id: a point id is/],
    [body.replace('"id":700,', `"id":${'['.repeat(70)}`), /nested deeper/],
  ];
  for (const [text, says] of cases) {
    const answer = await rig.call('PUT', '/collections/c/points', text);
    assert.equal(answer.status, 400);
    assert.match(answer.json.status.error, says);
  }
  assert.deepEqual(rig.worker.sent, []);
});

test('a client that hangs up during the parse gets its place back', async (t) => {
  const rig = await startRig(t);
  await createSmall(rig);
  const body = JSON.stringify({ points });
  const socket = connect(Number(new URL(rig.url).port), '127.0.0.1');
  socket.write(
    'PUT /collections/c/points HTTP/1.1\r\nhost: x\r\napi-key: a-live\r\n' +
      `content-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n`,
  );
  socket.write(body, () => socket.destroy());
  const startMs = performance.now();
  const route = '/collections/:collection/points';
  const done = () => rig.events.some(({ fields }) => 'route' in fields && fields.route === route);
  while ((!done() || rig.inFlight.count(CLIENT_A) > 0) && performance.now() - startMs < 5_000) {
    await new Promise((next) => setTimeout(next, 5));
  }
  assert.ok(done());
  assert.equal(rig.inFlight.count(CLIENT_A), 0);
});

test('the candidates of diverse searches are bounded over the whole batch', async (t) => {
  const rig = await startRig(t);
  const size = 4_096;
  await rig.call('PUT', '/collections/c', { vectors: { size, distance: 'Dot' } });
  const vector = Array.from({ length: size }, (_, i) => i % 7);
  const nearest = Buffer.from(new Float32Array(vector).buffer).toString('base64');
  const search = (candidates_limit: number) => ({
    query: { nearest, mmr: { candidates_limit } },
    limit: 5,
  });
  const ask = (searches: object[]) =>
    rig.call('POST', '/collections/c/points/query/batch', { searches });
  assert.equal((await ask(Array(4).fill(search(256)))).status, 200);
  const refused = await ask([...Array(4).fill(search(256)), search(1)]);
  assert.equal(refused.status, 400);
  assert.match(refused.json.status.error, /"mmr" have at most 1024 candidates together/);
});
