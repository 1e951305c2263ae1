/**
 * Every way to ask wrongly that we could think of: a 4xx with a sentence that names the place, no
 * message to a worker, nothing stored.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSmall, type DataRig, startRig } from './data-rig.ts';

interface BadRequest {
  request: [method: string, path: string, body?: unknown];
  status?: number;
  /** What the sentence must say. */
  says: RegExp;
}

const C = '/collections/c';
const V = [1, 2, 3, 4];
const create = (body: unknown, name = 'new'): BadRequest['request'] => [
  'PUT',
  `/collections/${name}`,
  body,
];
const upsert = (point: object): BadRequest['request'] => [
  'PUT',
  `${C}/points`,
  { points: [point] },
];
const query = (body: unknown): BadRequest['request'] => ['POST', `${C}/points/query`, body];
const post = (path: string, body: unknown): BadRequest['request'] => ['POST', `${C}${path}`, body];
const filter = (condition: unknown) => query({ query: V, filter: { must: [condition] } });
const big = { size: 4, distance: 'Dot' };
const deep = (depth: number) => `${'['.repeat(depth)}${']'.repeat(depth)}`;

const VECTORS: BadRequest[] = [
  {
    request: upsert({ id: 1, vector: [1, 2, 3] }),
    says: /points\[0\].vector.*expected dim: 4, got 3/,
  },
  { request: upsert({ id: 1, vector: [] }), says: /expected dim: 4, got 0/ },
  { request: upsert({ id: 1, vector: [0, 0, 0, 0] }), says: /points\[0\].vector: a zero vector/ },
  { request: upsert({ id: 1, vector: [1, 2, 3, 1e39] }), says: /vector\[3\].*finite/ },
  { request: upsert({ id: 1, vector: [1, 2, 3, '4'] }), says: /vector\[3\].*number/ },
  { request: upsert({ id: 1, vector: [1, 2, 3, null] }), says: /vector\[3\].*number/ },
  { request: upsert({ id: 1, vector: 'AAAA' }), says: /not base64 of little-endian float32/ },
  { request: upsert({ id: 1, vector: 'ÄÄÄÄ' }), says: /not base64/ },
  { request: upsert({ id: 1, vector: base64(1, 2, 3) }), says: /expected dim: 4, got 3/ },
  { request: upsert({ id: 1, vector: base64(1, 2, 3, Number.NaN) }), says: /vector\[3\].*finite/ },
  { request: upsert({ id: 1, vector: { named: V } }), says: /no vector named "named"/ },
  {
    request: upsert({ id: 1, vector: { '': { '': V } } }),
    says: /a vector is an array of numbers/,
  },
  { request: upsert({ id: 1, vector: {} }), says: /a vector is an array of numbers/ },
  { request: upsert({ id: 1, vector: { indices: [1], values: [1] } }), says: /sparse/ },
  { request: upsert({ id: 1, vector: [V, V] }), says: /multi-vectors/ },
  { request: upsert({ id: 1, vector: 5 }), says: /a vector is an array/ },
  { request: upsert({ id: 1, vector: null }), says: /a vector is an array/ },
];

const POINTS: BadRequest[] = [
  { request: upsert({ id: 1 }), says: /points\[0\]: the field "vector" is missing/ },
  { request: upsert({ vector: V }), says: /points\[0\].id: a point id is/ },
  { request: upsert({ id: -1, vector: V }), says: /points\[0\].id/ },
  { request: upsert({ id: 1.5, vector: V }), says: /points\[0\].id/ },
  { request: upsert({ id: 'abc', vector: V }), says: /points\[0\].id/ },
  { request: upsert({ id: null, vector: V }), says: /points\[0\].id/ },
  {
    request: ['PUT', `${C}/points`, '{"points":[{"id":18446744073709551616,"vector":[1,2,3,4]}]}'],
    says: /points\[0\].id/,
  },
  { request: upsert({ id: 1, vector: V, extra: 1 }), says: /points\[0\]: unknown field "extra"/ },
  { request: upsert({ id: 1, vector: V, payload: [] }), says: /points\[0\].payload.*object/ },
  { request: upsert({ id: 1, vector: V, payload: 'text' }), says: /points\[0\].payload/ },
  {
    request: upsert({ id: 1, vector: V, payload: { a: 'x'.repeat(1_100_000) } }),
    says: /at most 1048576 bytes/,
  },
  {
    request: [
      'PUT',
      `${C}/points`,
      '{"points":[{"id":1,"vector":[1,2,3,4],"payload":{"__proto__":1}}]}',
    ],
    says: /__proto__/,
  },
  {
    request: [
      'PUT',
      `${C}/points`,
      '{"points":[{"id":1,"vector":[1,2,3,4],"payload":{"\\u005f_proto__":1}}]}',
    ],
    says: /__proto__/,
  },
  { request: ['PUT', `${C}/points`, {}], says: /either "points" or "batch"/ },
  {
    request: ['PUT', `${C}/points`, { points: [], batch: {} }],
    says: /either "points" or "batch"/,
  },
  { request: ['PUT', `${C}/points`, { points: 5 }], says: /points: must be a list/ },
  {
    request: ['PUT', `${C}/points`, { points: [5] }],
    says: /points\[0\]: a point is a JSON object/,
  },
  { request: ['PUT', `${C}/points`, { points: [], extra: 1 }], says: /unknown field "extra"/ },
  {
    request: ['PUT', `${C}/points`, { points: [], shard_key: 'a' }],
    says: /shard_key: must be null/,
  },
  {
    request: ['PUT', `${C}/points`, { points: Array(10_001).fill(5) }],
    says: /at most 10000 points/,
  },
  {
    request: ['PUT', `${C}/points`, { batch: { ids: [1, 2], vectors: [V] } }],
    says: /batch.vectors: there are 2 ids but 1/,
  },
  {
    request: ['PUT', `${C}/points`, { batch: { ids: [1], vectors: [V], payloads: [{}, {}] } }],
    says: /batch.payloads/,
  },
  {
    request: ['PUT', `${C}/points`, { batch: { ids: [1], vectors: [V], extra: 1 } }],
    says: /batch: unknown field "extra"/,
  },
  {
    request: ['PUT', `${C}/points`, { batch: { ids: 1, vectors: [V] } }],
    says: /batch.ids: must be a list/,
  },
  {
    request: ['PUT', `${C}/points`, { batch: { ids: [1], vectors: { x: [V] } } }],
    says: /no vector named "x"/,
  },
  {
    request: ['PUT', `${C}/points?wait=maybe`, { points: [] }],
    says: /wait: must be one of "true", "false"/,
  },
  {
    request: ['PUT', `${C}/points?timeout=0`, { points: [] }],
    says: /^timeout: a whole number of seconds from 1 on$/,
  },
  { request: ['PUT', `${C}/points?nope=1`, { points: [] }], says: /unknown parameter "nope"/ },
  {
    request: ['PUT', `${C}/points?ordering=none`, { points: [] }],
    says: /ordering: must be one of/,
  },
  {
    request: ['PUT', `${C}/points/vectors`, { points: [{ id: 1, vector: V, payload: {} }] }],
    says: /unknown field "payload"/,
  },
  {
    request: post('/points/vectors/delete', { points: [1], vector: [''] }),
    says: /exactly one vector/,
  },
  { request: ['GET', `${C}/points/abc`], says: /id: a point id is/ },
  { request: ['GET', `${C}/points/99999999999999999999`], says: /id: a point id is/ },
];

const READS: BadRequest[] = [
  { request: query({ query: [1, 2, 3] }), says: /query: Vector dimension error/ },
  { request: query({ query: [0, 0, 0, 0] }), says: /query: a zero vector/ },
  { request: query({ query: V, limit: 0 }), says: /limit: must be >= 1/ },
  { request: query({ query: V, limit: -1 }), says: /limit: must be >= 1/ },
  { request: query({ query: V, limit: 16_385 }), says: /limit: must be <= 16384/ },
  { request: query({ query: V, limit: 16_384, offset: 1 }), says: /together are at most 16384/ },
  { request: query({ query: V, limit: 1.5 }), says: /limit: must be an integer/ },
  { request: query({ query: V, limit: '10' }), says: /limit: must be an integer/ },
  {
    request: query('{"limit":99999999999999999999999}'),
    says: /limit: the integer is too large|limit: must be <=/,
  },
  { request: query({ query: V, offset: -1 }), says: /offset: must be >= 0/ },
  { request: query({ query: V, extra: 1 }), says: /unknown field "extra"/ },
  { request: query({ query: V, params: { hnsw_ef: 0 } }), says: /params.hnsw_ef: must be >= 1/ },
  { request: query({ query: V, params: { ef: 5 } }), says: /params: unknown field "ef"/ },
  {
    request: query({ query: V, params: { exact: 'yes' } }),
    says: /params.exact: must be a boolean/,
  },
  { request: query({ query: V, using: 'image' }), says: /using: there is no vector named "image"/ },
  { request: query({ query: V, prefetch: [{ query: V }] }), says: /prefetch/ },
  { request: query({ query: V, score_threshold: 'x' }), says: /score_threshold: must be a number/ },
  {
    request: query({ query: { recommend: { positive: [1] } } }),
    says: /"recommend" queries are not available/,
  },
  { request: query({ query: { fusion: 'rrf' } }), says: /"fusion" queries/ },
  {
    request: query({ query: { nearest: V, mmr: { diversity: 2 } } }),
    says: /query.nearest|mmr.diversity: must be a number from 0 to 1/,
  },
  {
    request: query({ query: { nearest: V, mmr: {} }, limit: 257 }),
    says: /with "mmr", "limit" and "offset" together are at most 256/,
  },
  {
    request: query({ query: { nearest: V, mmr: {} }, limit: 200, offset: 57 }),
    says: /together are at most 256/,
  },
  {
    request: post('/points/query/batch', {
      searches: [{ query: V }, { query: { nearest: V, mmr: {} }, limit: 16_384 }],
    }),
    says: /searches\[1\]: with "mmr"/,
  },
  { request: query({ query: -5 }), says: /query: a point id is/ },
  { request: query({ query: V, with_payload: 5 }), says: /with_payload: must be true, false/ },
  { request: query({ query: V, with_payload: [''] }), says: /with_payload\[0\]/ },
  {
    request: query({ query: V, with_payload: { include: ['a'], exclude: ['b'] } }),
    says: /with_payload/,
  },
  { request: query({ query: V, with_vector: ['image'] }), says: /no vector named "image"/ },
  {
    request: query({ query: V, filter: { must: [{ key: 'a', match: { value: 1 } }], extra: 1 } }),
    says: /filter.*extra/,
  },
  { request: filter({ key: 'a' }), says: /filter.must\[0\]/ },
  { request: filter({ key: 'a', geo_radius: {} }), says: /geo_radius/ },
  { request: filter({ has_id: ['x'] }), says: /has_id/ },
  { request: query({ query: V, filter: 5 }), says: /filter/ },
  {
    request: post('/points/query/batch', { searches: [{ query: V }, { query: [1] }] }),
    says: /searches\[1\].query: Vector dimension/,
  },
  {
    request: post('/points/query/batch', { searches: Array(129).fill({ query: V }) }),
    says: /searches/,
  },
  {
    request: post('/points/query/batch', { searches: [{ limit: 0 }] }),
    says: /searches\[0\].limit: must be >= 1/,
  },
  {
    request: post('/points/search', { vector: { name: 'x', vector: V } }),
    says: /no vector named "x"/,
  },
  { request: post('/points/search', { limit: 1 }), says: /the field "vector" is missing/ },
  { request: post('/points/scroll', { limit: 0 }), says: /limit: must be >= 1/ },
  { request: post('/points/scroll', { limit: 10_001 }), says: /limit: must be at most 10000/ },
  { request: post('/points/scroll', { offset: 'x' }), says: /offset: a point id is/ },
  { request: post('/points/scroll', { order_by: 'a' }), says: /order_by/ },
  { request: post('/points', {}), says: /the field "ids" is missing/ },
  { request: post('/points', { ids: 5 }), says: /ids: must be a list/ },
  { request: post('/points', { ids: ['x'] }), says: /ids\[0\]: a point id is/ },
  { request: post('/points/count', { exact: 1 }), says: /exact: must be a boolean/ },
  { request: post('/points/count?consistency=some', {}), says: /consistency/ },
];

const CHANGES: BadRequest[] = [
  { request: post('/points/delete', {}), says: /either "points" .* or "filter"/ },
  {
    request: post('/points/delete', { points: [1], filter: {} }),
    says: /either "points" .* or "filter"/,
  },
  { request: post('/points/delete', { points: [{}] }), says: /points\[0\]: a point id is/ },
  { request: post('/points/delete', [1]), says: /the body: must be a JSON object/ },
  { request: post('/points/payload', { points: [1] }), says: /the field "payload" is missing/ },
  {
    request: post('/points/payload', { points: [1], payload: 5 }),
    says: /payload: a payload is a JSON object/,
  },
  {
    request: post('/points/payload', { points: [1], payload: null }),
    says: /payload: must be a JSON object/,
  },
  {
    request: post('/points/payload', { points: [1], payload: {}, key: 'a..b' }),
    says: /key: .*not a payload key path/,
  },
  {
    request: ['PUT', `${C}/points/payload`, { points: [1], payload: {}, key: 'a' }],
    says: /key: only setting/,
  },
  {
    request: post('/points/payload/delete', { points: [1], keys: 'a' }),
    says: /keys: must be a list/,
  },
  { request: post('/points/payload/clear', { points: 'all' }), says: /points: must be a list/ },
  {
    request: post('/points/batch', { operations: [{}] }),
    says: /operations\[0\]: an operation is an object with one field/,
  },
  {
    request: post('/points/batch', { operations: [{ drop: {} }] }),
    says: /operations\[0\]: unknown field "drop"/,
  },
  {
    request: post('/points/batch', {
      operations: [{ upsert: { points: [] } }, { delete: { points: ['x'] } }],
    }),
    says: /operations\[1\].delete.points\[0\]/,
  },
  {
    request: ['PUT', `${C}/index`, { field_name: 'a' }],
    says: /field_schema: must be one of keyword/,
  },
  {
    request: ['PUT', `${C}/index`, { field_name: 'a', field_schema: 'geo' }],
    says: /field_schema: must be one of keyword/,
  },
  {
    request: ['PUT', `${C}/index`, { field_name: '', field_schema: 'keyword' }],
    says: /field_name/,
  },
  { request: ['PUT', `${C}/index`, { field_schema: 'keyword' }], says: /field_name/ },
  {
    request: ['PUT', `${C}/index`, { field_name: '__proto__', field_schema: 'keyword' }],
    says: /__proto__/,
  },
  {
    request: [
      'PUT',
      `${C}/index`,
      { field_name: 'a', field_schema: { type: 'text', stemmer: 'english' } },
    ],
    says: /stemmer/,
  },
];

const COLLECTIONS: BadRequest[] = [
  { request: create({}), says: /vectors: give the vectors' "size" and "distance"/ },
  {
    request: create({ vectors: { size: 0, distance: 'Dot' } }),
    says: /vectors.size: must be an integer from 1 to 8192/,
  },
  { request: create({ vectors: { size: 8193, distance: 'Dot' } }), says: /vectors.size/ },
  { request: create({ vectors: { size: '4', distance: 'Dot' } }), says: /vectors.size/ },
  {
    request: create({ vectors: { size: 4, distance: 'cosine' } }),
    says: /vectors.distance: must be one of Cosine/,
  },
  { request: create({ vectors: { size: 4 } }), says: /vectors.distance/ },
  { request: create({ vectors: { image: big } }), says: /no vector named "image"/ },
  { request: create({ vectors: { ...big, foo: 1 } }), says: /vectors: unknown field "foo"/ },
  { request: create({ vectors: { ...big, datatype: 'uint8' } }), says: /datatype/ },
  {
    request: create({ vectors: { ...big, multivector_config: { comparator: 'max_sim' } } }),
    says: /multivector/,
  },
  { request: create({ vectors: { ...big, hnsw_config: 5 } }), says: /vectors.hnsw_config/ },
  {
    request: create({ vectors: big, hnsw_config: { m: 1000 } }),
    says: /hnsw_config.m: must be an integer from 4 to 128, or 0 for no graph/,
  },
  { request: create({ vectors: big, hnsw_config: { m: 3 } }), says: /hnsw_config.m: .*4 to 128/ },
  {
    request: create({ vectors: { ...big, hnsw_config: { m: 1 } } }),
    says: /vectors.hnsw_config.m: .*4 to 128/,
  },
  {
    request: create({ vectors: big, hnsw_config: { ef: 1 } }),
    says: /hnsw_config: unknown field "ef"/,
  },
  { request: create({ vectors: big, sparse_vectors: { s: {} } }), says: /sparse/ },
  {
    request: create({ vectors: big, quantization_config: { scalar: { type: 'int8' } } }),
    says: /quantization_config/,
  },
  { request: create({ vectors: big, replication_factor: 0 }), says: /replication_factor/ },
  { request: create({ vectors: big, replication_factor: 4 }), says: /at most 3 on your plan/ },
  { request: create({ vectors: big, replication_factor: 99 }), says: /is at most 7/ },
  {
    request: create({ vectors: big, replication_factor: 2, write_consistency_factor: 3 }),
    says: /write_consistency_factor/,
  },
  { request: create({ vectors: big, shard_number: 0 }), says: /shard_number/ },
  { request: create({ vectors: big, shard_number: 65 }), says: /shard_number: .* 1 to 64/ },
  { request: create({ vectors: big, shard_number: 2.5 }), says: /shard_number/ },
  {
    request: create({ vectors: big, optimizers_config: { foo: 1 } }),
    says: /optimizers_config: unknown field "foo"/,
  },
  { request: create({ vectors: big, init_from: 'x' }), says: /unknown field "init_from"/ },
  { request: create({ vectors: big }, 'c'), status: 409, says: /already exists/ },
  { request: create({ vectors: big }, '%2e%2e%2fetc'), says: /no "\/"/ },
  { request: create({ vectors: big }, 'a..b'), says: /no "\.\."/ },
  { request: create({ vectors: big }, 'a%2Fb'), says: /no "\/"/ },
  { request: create({ vectors: big }, 'a%00b'), says: /control characters/ },
  { request: create({ vectors: big }, 'a%0Ab'), says: /control characters/ },
  { request: create({ vectors: big }, 'a%C2%85b'), says: /control characters/ },
  { request: create({ vectors: big }, 'x'.repeat(256)), says: /at most 255 bytes/ },
  {
    request: create({ vectors: big }, encodeURIComponent('ü'.repeat(128))),
    says: /at most 255 bytes/,
  },
  { request: create({ vectors: big }, '%zz'), says: /not a valid URL path/ },
  { request: create({ vectors: big }, 'x'.repeat(5_000)), says: /too long|at most 255 bytes/ },
  { request: ['PATCH', C, { hnsw_config: { m: -1 } }], says: /hnsw_config.m/ },
  { request: ['PATCH', C, { quantization_config: { scalar: {} } }], says: /quantization_config/ },
  { request: ['PATCH', C, { foo: 1 }], says: /unknown field "foo"/ },
];

const BODIES: BadRequest[] = [
  { request: query('{"query": [1, 2'), says: /not valid at position/ },
  { request: query(''), says: /the body is empty/ },
  { request: query('null'), says: /the body: must be a JSON object/ },
  { request: query('[1]'), says: /the body: must be a JSON object/ },
  { request: query('"text"'), says: /the body: must be a JSON object/ },
  { request: query('{"query": [NaN, 1, 1, 1]}'), says: /not valid at position/ },
  { request: query('{"query": [1e999, 1, 1, 1]}'), says: /too large/ },
  { request: query(`{"query": ${deep(65)}}`), says: /nested deeper than 64/ },
  { request: query(`{"query": ${deep(50_000)}}`), says: /nested deeper than 64/ },
  { request: query('{"filter": {"__proto__": {}}}'), says: /__proto__/ },
  { request: ['POST', `${C}/points/query`], says: /the body: must be a JSON object/ },
  {
    request: ['POST', '/collections/none/points/query', { query: V }],
    status: 404,
    says: /Collection `none` doesn't exist/,
  },
  { request: ['GET', '/collections/none'], status: 404, says: /Collection `none` doesn't exist/ },
  { request: ['GET', '/nowhere'], status: 404, says: /nothing at this path/ },
  { request: ['POST', C, {}], status: 405, says: /does not take POST, only DELETE, GET/ },
];

function base64(...components: number[]): string {
  return Buffer.from(new Float32Array(components).buffer).toString('base64');
}

async function checkAll(rig: DataRig, table: BadRequest[]): Promise<void> {
  for (const { request, status = 400, says } of table) {
    const answer = await rig.call(...request);
    const shown = `${request[0]} ${request[1].slice(0, 80)} ${JSON.stringify(request[2])?.slice(0, 200)}`;
    assert.equal(answer.status, status, `${shown}: ${answer.text}`);
    assert.match(answer.json.status.error, says, shown);
    assert.equal(answer.json.result, null);
    assert.ok(answer.json.time >= 0);
    assert.equal(typeof answer.json.code, 'string');
  }
}

const TABLES = { VECTORS, POINTS, READS, CHANGES, COLLECTIONS, BODIES };
for (const [name, table] of Object.entries(TABLES)) {
  test(`bad requests are refused and nothing is sent: ${name.toLowerCase()}`, async (t) => {
    const rig = await startRig(t);
    await createSmall(rig);
    rig.worker.sent.length = 0;
    await checkAll(rig, table);
    assert.deepEqual(rig.worker.sent, []);
    const { json } = await rig.call('GET', '/collections');
    assert.deepEqual(json.result, { collections: [{ name: 'c' }] });
    assert.deepEqual(
      rig.events.filter(({ event }) => event === 'request_failed'),
      [],
    );
  });
}

test('a refusal never shows the document', async (t) => {
  const rig = await startRig(t);
  await createSmall(rig);
  const answer = await rig.call('POST', `${C}/points/query`, '{"secret": "s3cr3t" oops');
  assert.equal(answer.status, 400);
  assert.ok(!answer.text.includes('s3cr3t'), answer.text);
});

test('a body over the bound is 413 and another content type 415', async (t) => {
  const rig = await startRig(t, { bodyBytesMax: 10_000 });
  await createSmall(rig);
  const large = await rig.call('POST', `${C}/points/query`, { using: 'x'.repeat(20_000) });
  assert.deepEqual([large.status, large.json.code], [413, 'body_too_large']);
  const text = await rig.call('POST', `${C}/points/query`, 'a=b', { 'content-type': 'text/plain' });
  assert.deepEqual([text.status, text.json.code], [415, 'unsupported_media_type']);
  const zip = { 'content-encoding': 'gzip' };
  const zipped = await rig.call('POST', `${C}/points/query`, { query: V }, zip);
  assert.deepEqual([zipped.status, zipped.json.code], [415, 'unsupported_media_type']);
});
