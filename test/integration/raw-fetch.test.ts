/**
 * Raw HTTP against the real processes: exact ids, and a table of bad input. Each bad request is a
 * 4xx with a sentence, and leaves everything as it was.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from '../../shared/domain/limits.ts';
import { type Service, startService } from '../harness/service.ts';

const NAME = 'things';
const POINTS = `/collections/${NAME}/points`;
const QUERY = `${POINTS}/query`;
const good = { id: 1, vector: [1, 2] };

function upsertOf(...points: unknown[]): unknown {
  return { points };
}

/** Method, path, body (text is sent as it is), status, what the sentence must say. */
type Case = [string, string, unknown, number, RegExp];

const CREATES: Case[] = [
  ['PUT', `/collections/${NAME}`, { vectors: { size: 2, distance: 'Dot' } }, 409, /already exists/],
  ['PUT', '/collections/a..%2Fb', { vectors: { size: 2, distance: 'Dot' } }, 400, /name/],
  ['PUT', '/collections/..%2F..%2Fetc', { vectors: { size: 2, distance: 'Dot' } }, 400, /name/],
  ['PUT', '/collections/a%00b', { vectors: { size: 2, distance: 'Dot' } }, 400, /name/],
  ['PUT', '/collections/a%1Bb', { vectors: { size: 2, distance: 'Dot' } }, 400, /name/],
  [
    ...(['PUT', `/collections/${'n'.repeat(256)}`] as const),
    ...([{ vectors: { size: 2, distance: 'Dot' } }, 400, /255/] as const),
  ],
  ['PUT', '/collections/bad', { vectors: { size: 0, distance: 'Dot' } }, 400, /size/],
  ['PUT', '/collections/bad', { vectors: { size: 9e9, distance: 'Dot' } }, 400, /size/],
  ['PUT', '/collections/bad', { vectors: { size: 2, distance: 'Near' } }, 400, /distance/],
  ['PUT', '/collections/bad', {}, 400, /vectors/],
  ['PUT', '/collections/bad', { vectors: { size: 2, distance: 'Dot' }, x: 1 }, 400, /x/],
];

const WRITES: Case[] = [
  ['PUT', POINTS, upsertOf(good, { id: 2, vector: [1, 2, 3] }), 400, /dimension|3/],
  ['PUT', POINTS, upsertOf(good, { id: 2, vector: [1] }), 400, /dimension|1/],
  ['PUT', POINTS, '{"points":[{"id":1,"vector":[1,NaN]}]}', 400, /JSON/],
  ['PUT', POINTS, '{"points":[{"id":1,"vector":[1,1e39]}]}', 400, /float32|finite|range/],
  ['PUT', POINTS, '{"points":[{"id":1,"vector":[1,1e999]}]}', 400, /./],
  ['PUT', POINTS, upsertOf({ id: 1, vector: [1, null] }), 400, /vector/],
  ['PUT', POINTS, upsertOf({ id: 1, vector: [1, 'x'] }), 400, /vector/],
  ['PUT', POINTS, upsertOf({ id: -1, vector: [1, 2] }), 400, /id/],
  ['PUT', POINTS, upsertOf({ id: 1.5, vector: [1, 2] }), 400, /id/],
  ['PUT', POINTS, upsertOf({ id: 'seven', vector: [1, 2] }), 400, /id/],
  ['PUT', POINTS, '{"points":[{"id":18446744073709551616,"vector":[1,2]}]}', 400, /id/],
  ['PUT', POINTS, upsertOf({ vector: [1, 2] }), 400, /id/],
  ['PUT', POINTS, upsertOf({ id: 1 }), 400, /vector/],
  ['PUT', POINTS, upsertOf({ ...good, payload: [1] }), 400, /payload/],
  ['PUT', POINTS, upsertOf({ ...good, payloads: {} }), 400, /payloads/],
  [
    'PUT',
    POINTS,
    '{"points":[{"id":1,"vector":[1,2],"payload":{"__proto__":{"a":1}}}]}',
    400,
    /__proto__/,
  ],
  ['PUT', POINTS, '{"__proto__":{"points":[]}}', 400, /__proto__/],
  ['PUT', POINTS, '{"points":[', 400, /JSON/],
  ['PUT', POINTS, '', 400, /./],
  ['PUT', POINTS, `${'{"a":'.repeat(80)}1${'}'.repeat(80)}`, 400, /deep|nest/],
  ['PUT', POINTS, `"${'x'.repeat(33 * 2 ** 20)}"`, 413, /large/],
  ['PUT', '/collections/absent/points', upsertOf(good), 404, /exist/],
  ['POST', `${POINTS}/payload`, { payload: { a: 1 }, points: [404] }, 404, /point/],
  ['PUT', `${POINTS}/vectors`, { points: [{ id: 404, vector: [1, 2] }] }, 404, /point/],
];

const READS: Case[] = [
  ['POST', QUERY, { query: [1, 2, 3] }, 400, /dimension|3/],
  ['POST', QUERY, { query: [1, 2], limit: 0 }, 400, /limit/],
  ['POST', QUERY, { query: [1, 2], limit: -1 }, 400, /limit/],
  ['POST', QUERY, { query: [1, 2], limit: 1e6 }, 400, /limit/],
  ['POST', QUERY, { query: [1, 2], limit: 'ten' }, 400, /limit/],
  ['POST', QUERY, { query: [1, 2], offset: -1 }, 400, /offset/],
  ['POST', QUERY, { query: [1, 2], params: { hnsw_ef: 0 } }, 400, /hnsw_ef/],
  ['POST', QUERY, { query: [1, 2], params: { hnsw_ef: 1e9 } }, 400, /hnsw_ef/],
  ['POST', QUERY, { query: [1, 2], colour: 'red' }, 400, /colour/],
  ['POST', QUERY, { query: [1, 2], filter: { must: [{ key: 'a' }] } }, 400, /filter/],
  ['POST', QUERY, { query: [1, 2], filter: { most: [] } }, 400, /most/],
  ['POST', QUERY, { query: 404 }, 404, /point/],
  ['POST', `${POINTS}/scroll`, { limit: 0 }, 400, /limit/],
  ['GET', `${POINTS}/404`, undefined, 404, /[Pp]oint/],
  ['GET', `${POINTS}/seven`, undefined, 400, /id/],
  ['GET', '/collections/absent', undefined, 404, /exist/],
  ['GET', '/no/such/path', undefined, 404, /./],
  ['PATCH', QUERY, {}, 405, /./],
];

interface Answer {
  status: { error: string } | string;
  result: unknown;
  time: number;
  code?: string;
}

async function ask(service: Service, [method, path, body]: Case): Promise<[number, Answer]> {
  const response = await service.fetch(method, path, body);
  return [response.status, (await response.json()) as Answer];
}

test('bad input is a 4xx with a sentence, and nothing is stored or disturbed', async (t) => {
  const service = await startService(t);
  const client = service.client();
  await client.createCollection(NAME, { vectors: { size: 2, distance: 'Dot' } });
  await client.upsert(NAME, { wait: true, points: [{ id: 7, vector: [7, 7] }] });
  const wrong: string[] = [];
  for (const each of [...CREATES, ...WRITES, ...READS]) {
    const [method, path, body, wanted, sentence] = each;
    const [status, answer] = await ask(service, each);
    const text = typeof answer.status === 'object' ? answer.status.error : '';
    const whole = answer.result === null && typeof answer.code === 'string';
    if (status === wanted && sentence.test(text) && whole) continue;
    const what = `${method} ${path.slice(0, 80)} ${JSON.stringify(body)?.slice(0, 120)}`;
    wrong.push(`${what}: wanted ${wanted} ${sentence}, got ${status} ${JSON.stringify(answer)}`);
  }
  assert.deepEqual(wrong, []);
  const { points } = await client.scroll(NAME, { limit: 10, with_vector: true });
  assert.deepEqual(
    points.map(({ id, vector }) => [id, vector]),
    [[7, [7, 7]]],
  );
  assert.equal((await client.getCollections()).collections.length, 1);
});

test('a zero vector is refused under Cosine only', async (t) => {
  const service = await startService(t);
  const client = service.client();
  const zero = { wait: true, points: [{ id: 1, vector: [0, 0] }] };
  await client.createCollection('angle', { vectors: { size: 2, distance: 'Cosine' } });
  await assert.rejects(client.upsert('angle', zero), { status: 400 });
  await client.createCollection('length', { vectors: { size: 2, distance: 'Euclid' } });
  await client.upsert('length', zero);
});

test('who asks decides: no key, a wrong key, another content type', async (t) => {
  const service = await startService(t);
  const statusOf = async (headers: Record<string, string>, method = 'GET'): Promise<number> => {
    const init = method === 'GET' ? { headers } : { method, headers, body: '{}' };
    const response = await fetch(`${service.url}/collections/none/points`, init);
    const answer = (await response.json()) as Answer;
    assert.ok(typeof answer.status === 'object');
    return response.status;
  };
  assert.equal(await statusOf({}), 401);
  assert.equal(await statusOf({ 'api-key': 'bh_live_nonsense' }), 401);
  const swapped = `${service.key.slice(0, 10)}${service.key.slice(11)}x`;
  assert.equal(await statusOf({ authorization: `Bearer ${swapped}` }), 401);
  const bearer = { authorization: `Bearer ${service.key}` };
  assert.equal(await statusOf({ ...bearer, 'content-type': 'text/plain' }, 'PUT'), 415);
  for (const path of ['/healthz', '/livez', '/readyz']) {
    assert.equal((await fetch(`${service.url}${path}`)).status, 200, path);
  }
});

test('64-bit ids and base64 vectors stay exact end to end', async (t) => {
  const service = await startService(t);
  const ids = ['9007199254740993', '18446744073709551615', '0'];
  await service.client().createCollection(NAME, { vectors: { size: 2, distance: 'Dot' } });
  const points = ids.map(
    (id, index) => `{"id":${id},"vector":[${index + 1},0],"payload":{"n":${id}}}`,
  );
  const stored = await service.fetch('PUT', `${POINTS}?wait=true`, `{"points":[${points.join()}]}`);
  assert.equal(stored.status, 200);
  const page = await (await service.fetch('POST', `${POINTS}/scroll`, { limit: 5 })).text();
  for (const id of ids) {
    assert.ok(page.includes(`"id":${id},`) || page.includes(`"id":${id}}`), `${id} in ${page}`);
    assert.ok(page.includes(`"n":${id}`), `payload ${id} in ${page}`);
    const one = await (await service.fetch('GET', `${POINTS}/${id}`)).text();
    assert.ok(one.includes(`"id":${id}`), one);
  }
  const base64 = Buffer.from(new Float32Array([0.1, -2.5]).buffer).toString('base64');
  const packed = upsertOf({ id: 5, vector: base64 });
  assert.equal((await service.fetch('PUT', `${POINTS}?wait=true`, packed)).status, 200);
  const [found] = await service.client().retrieve(NAME, { ids: [5], with_vector: true });
  const vector = found?.vector;
  assert.ok(Array.isArray(vector));
  assert.deepEqual(
    vector.map((value) => Math.fround(Number(value))),
    [Math.fround(0.1), -2.5],
  );
  const removed = `{"points":[${ids[0]}]}`;
  assert.equal((await service.fetch('POST', `${POINTS}/delete?wait=true`, removed)).status, 200);
  assert.equal((await service.client().count(NAME)).count, 3);
});

test('the largest vectors go all the way and come back', async (t) => {
  const service = await startService(t);
  const size = LIMITS.dimensionMax;
  await service.client().createCollection(NAME, { vectors: { size, distance: 'Euclid' } });
  const points = Array.from({ length: 40 }, (_, id) => {
    return { id, vector: Array.from({ length: size }, (_, at) => (at * 7 + id) % 11) };
  });
  await service.client().upsert(NAME, { wait: true, points });
  for (const { id, vector } of points.slice(0, 5)) {
    const found = await service
      .client()
      .query(NAME, { query: vector, with_vector: true, limit: 1 });
    assert.equal(found.points[0]?.id, id);
    assert.deepEqual(found.points[0]?.vector, vector);
  }
});

test('the older search calls answer too', async (t) => {
  const service = await startService(t);
  await service.client().createCollection(NAME, { vectors: { size: 2, distance: 'Dot' } });
  await service.client().upsert(NAME, { wait: true, points: [good, { id: 2, vector: [3, 3] }] });
  const search = { vector: [1, 1], limit: 1 };
  const one = (await (await service.fetch('POST', `${POINTS}/search`, search)).json()) as Answer;
  assert.deepEqual(one.result, [{ id: 2, version: 1, score: 6 }]);
  const searches = { searches: [search, { vector: [0, 1], limit: 2 }] };
  const many = await service.fetch('POST', `${POINTS}/search/batch`, searches);
  const { result } = (await many.json()) as { result: { id: number }[][] };
  assert.deepEqual(
    result.map((hits) => hits.map(({ id }) => id)),
    [[2], [2, 1]],
  );
});
