/**
 * Replies fit the public description of the dialect. The description is a third party's document
 * and is not part of this project: without it the comparison is left out, and says so.
 */
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Ajv, type ValidateFunction } from 'ajv';
import { createSmall, type DataRig, startRig } from './data-rig.ts';

const DESCRIPTION = fileURLToPath(
  new URL('../../../shared/reference/qdrant-openapi-1.19.json', import.meta.url),
);

interface OpenApi {
  paths: Record<string, Record<string, { responses: Record<string, ResponseDescription> }>>;
}
interface ResponseDescription {
  content?: Record<string, { schema: object }>;
}

/** OpenAPI 3.0 writes "or null" as `nullable` beside a schema without a type; ajv wants a type. */
function withNullTypes(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(withNullTypes);
  if (typeof schema !== 'object' || schema === null) return schema;
  if (Object.keys(schema).length === 1 && 'nullable' in schema) return { type: 'null' };
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) => [key, withNullTypes(value)]),
  );
}

class Contract {
  readonly #document: OpenApi;
  readonly #ajv = new Ajv({ strict: false, validateFormats: false });
  readonly checked = new Set<string>();

  constructor(text: string) {
    this.#document = withNullTypes(JSON.parse(text)) as OpenApi;
    this.#ajv.addSchema({ $id: 'openapi', ...this.#document });
  }

  check(method: string, path: string, reply: unknown): void {
    const validate = this.#validator(method, path);
    assert.ok(validate(reply), `${method} ${path}: ${JSON.stringify(validate.errors)}`);
    this.checked.add(`${method} ${path}`);
  }

  #validator(method: string, path: string): ValidateFunction {
    const operation = this.#document.paths[path]?.[method.toLowerCase()];
    assert.ok(operation, `the description has ${method} ${path}`);
    const content = operation.responses['200']?.content;
    assert.ok(content, `${method} ${path} is described for 200`);
    const pointer = `#/paths/${path.replaceAll('/', '~1')}/${method.toLowerCase()}/responses/200`;
    const schema = encodeURI(`openapi${pointer}/content/application~1json/schema`);
    return this.#ajv.compile({ $ref: schema });
  }
}

const P = '/collections/{collection_name}';
const V = [1, 2, 3, 4];

const REQUESTS: [method: string, path: string, body?: unknown][] = [
  ['PUT', P, { vectors: { size: 4, distance: 'Cosine' }, optimizers_config: {}, shard_number: 1 }],
  ['GET', '/'],
  ['GET', '/collections'],
  ['GET', '/aliases'],
  ['GET', `${P}/aliases`],
  ['GET', `${P}/exists`],
  ['GET', `${P}/cluster`],
  ['GET', '/cluster'],
  ['PUT', `${P}/index`, { field_name: 'city', field_schema: 'keyword' }],
  [
    'PUT',
    `${P}/index`,
    { field_name: 'n', field_schema: { type: 'integer', lookup: true, range: true } },
  ],
  [
    'PUT',
    `${P}/points`,
    {
      points: [
        { id: 1, vector: V, payload: { city: 'Ulm' } },
        { id: 2, vector: [4, 3, 2, 1] },
      ],
    },
  ],
  ['PUT', `${P}/points`, { batch: { ids: ['5c56c79369f34fbf87e6c4bf54c28c26'], vectors: [V] } }],
  ['PUT', `${P}/points`, { points: [] }],
  ['GET', P],
  ['POST', `${P}/points/query`, { query: V, with_payload: true, with_vector: true, limit: 3 }],
  ['POST', `${P}/points/query`, { query: 1, params: { hnsw_ef: 64, exact: true } }],
  ['POST', `${P}/points/query`, { limit: 2 }],
  ['POST', `${P}/points/query/batch`, { searches: [{ query: V }, { query: { nearest: 1 } }] }],
  ['POST', `${P}/points/scroll`, { limit: 1, with_vector: true }],
  ['POST', `${P}/points/scroll`, {}],
  ['POST', `${P}/points`, { ids: [1, 2], with_payload: ['city'], with_vector: true }],
  ['POST', `${P}/points/count`, { filter: { must: { key: 'city', match: { value: 'Ulm' } } } }],
  ['POST', `${P}/points/payload`, { payload: { a: 1 }, points: [1], key: 'in.side' }],
  ['PUT', `${P}/points/payload`, { payload: { a: 1 }, filter: {} }],
  ['POST', `${P}/points/payload/delete`, { keys: ['a'], points: [1] }],
  ['POST', `${P}/points/payload/clear`, { points: [1] }],
  ['PUT', `${P}/points/vectors`, { points: [{ id: 1, vector: V }] }],
  [
    'POST',
    `${P}/points/batch`,
    { operations: [{ delete: { points: [2] } }, { clear_payload: { filter: {} } }] },
  ],
  ['POST', `${P}/points/delete`, { points: [2] }],
  ['DELETE', `${P}/index/{field_name}`],
  ['PATCH', P, { hnsw_config: { m: 24 }, optimizers_config: { indexing_threshold: 10 } }],
  ['DELETE', P],
];

async function run(rig: DataRig, check: Contract['check']): Promise<void> {
  for (const [method, path, body] of REQUESTS) {
    const filled = path.replace('{collection_name}', 'c').replace('{field_name}', 'city');
    const answer = await rig.call(method, filled, body);
    assert.equal(answer.status, 200, `${method} ${path}: ${answer.text}`);
    if (path !== '/') {
      assert.equal(answer.json.status, 'ok');
      assert.notEqual(answer.json.result, null);
    }
    check(method, path, answer.json);
  }
}

test('every reply has the form that the description gives', async (t) => {
  const described = existsSync(DESCRIPTION);
  if (!described) t.diagnostic('the description is not here: replies are not compared with it');
  const rig = await startRig(t);
  const contract = described ? new Contract(readFileSync(DESCRIPTION, 'utf8')) : undefined;
  await run(rig, (method, path, reply) => contract?.check(method, path, reply));
  if (contract !== undefined) assert.ok(contract.checked.size >= 24);
});

test('a point in a reply has what was asked for, exactly', async (t) => {
  const rig = await startRig(t);
  await createSmall(rig, 'Dot');
  const id = '18446744073709551615';
  const payload = '{"big":9007199254740993,"text":"ü\\u2028","deep":{"list":[1.5,null,true]}}';
  const points = `{"points":[{"id":${id},"vector":[0.1,-0,1e-9,16777216],"payload":${payload}}]}`;
  assert.equal((await rig.call('PUT', '/collections/c/points', points)).status, 200);
  const { text, json } = await rig.call('GET', `/collections/c/points/${id}`);
  assert.ok(text.includes(`"id":${id}`), text);
  assert.ok(text.includes('"big":9007199254740993'), text);
  assert.deepEqual(json.result.payload.text, 'ü\u2028');
  const expected = new Float32Array([0.1, -0, 1e-9, 16_777_216]);
  assert.deepEqual(
    new Float32Array(json.result.vector),
    expected.map((x) => x + 0),
  );

  const body = { query: [1, 0, 0, 0], with_payload: false };
  const found = await rig.call('POST', '/collections/c/points/query', body);
  assert.deepEqual(Object.keys(found.json.result.points[0]), ['id', 'version', 'score']);
  assert.equal(found.json.result.points[0].score, 0.1);
  const asArray = await rig.call('POST', '/collections/c/points/search', { vector: [1, 0, 0, 0] });
  assert.equal(asArray.json.result.length, 1);
});

test('a vector is the same as an array, in base64 and under the empty name', async (t) => {
  const rig = await startRig(t);
  await createSmall(rig, 'Dot');
  const base64 = Buffer.from(new Float32Array(V).buffer).toString('base64');
  const forms = [V, base64, { '': V }, { '': base64 }];
  const points = forms.map((vector, i) => ({ id: i + 1, vector }));
  await rig.call('PUT', '/collections/c/points', { points });
  for (const vectors of [forms, { '': [V, base64, V, base64] }]) {
    const batch = { ids: [11, 12, 13, 14], vectors };
    assert.equal((await rig.call('PUT', '/collections/c/points', { batch })).status, 200);
  }
  const { json } = await rig.call('POST', '/collections/c/points', {
    ids: [1, 2, 3, 4, 11, 12, 13, 14],
    with_vector: [''],
    with_payload: true,
  });
  assert.equal(json.result.length, 8);
  for (const record of json.result) {
    assert.deepEqual(record.vector, V);
    assert.deepEqual(record.payload, {});
  }
  for (const query of [...forms.slice(0, 2), { nearest: base64 }]) {
    const answer = await rig.call('POST', '/collections/c/points/query', { query });
    assert.equal(answer.json.result.points[0].score, 30, JSON.stringify(query));
  }
});
