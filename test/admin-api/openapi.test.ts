/** The document that the admin API serves of itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ADMIN_ENDPOINTS } from '../../coordinator/http/routes/admin/endpoints.ts';
import { PLAN_LIMITS } from '../../shared/domain/plan.ts';
import { AdminRig, type Reply } from './admin-rig.ts';

test('the document has every endpoint, and every reference leads somewhere', async (t) => {
  const { contract } = await AdminRig.start(t);
  const { document } = contract;
  assert.equal(document.openapi, '3.1.0');
  const operations = Object.values(document.paths).flatMap((path) => Object.values(path));
  const ids = operations.map(({ operationId }) => operationId);
  assert.deepEqual(ids.toSorted(), ADMIN_ENDPOINTS.map(({ name }) => name).toSorted());
  assert.equal(new Set(ids).size, ids.length, 'each name is given once');
  const references = JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g);
  const text = JSON.stringify(document);
  assert.doesNotMatch(text, /patternProperties/, 'terms are described field by field');
  for (const [, pointer = ''] of references) {
    const target = pointer.split('/').reduce<unknown>((at, step) => (at as Reply)[step], document);
    assert.equal(typeof target, 'object', pointer);
  }
});

test('a bad request names the field that is wrong', async (t) => {
  const rig = await AdminRig.start(t);
  const path = await rig.client();
  const bad: [method: string, path: string, body: unknown, field: string][] = [
    ['POST', '/clients', { name: 5 }, 'name'],
    ['POST', '/clients', {}, 'name'],
    ['POST', '/clients', { name: 'a', naem: 'b' }, 'naem'],
    ['POST', '/clients', { name: ' ' }, 'name'],
    ['POST', '/clients', { name: 'a', plan: 'none' }, 'plan'],
    ['PATCH', path, { overrides: { points: -1 } }, 'overrides.points'],
    ['POST', `${path}/suspend`, { reason: '' }, 'reason'],
    ['POST', `${path}/keys`, { mode: 'other' }, 'mode'],
    ['POST', `${path}/keys`, { mode: 'live', expires_at: 'soon' }, 'expires_at'],
    ['PUT', '/plans/free', { limits: {}, prices: {} }, 'limits.requests_per_second'],
    ['GET', '/clients?limit=0', undefined, 'limit'],
    ['GET', '/audit?after=x', undefined, 'after'],
  ];
  for (const [method, at, body, field] of bad) {
    const { status, reply } = await rig.send(method, at, body);
    assert.deepEqual([status, reply.field], [400, field], `${method} ${at}: ${reply.detail}`);
  }
});

interface ObjectSchema {
  properties?: Record<string, object>;
}

/** A value that no field takes but one that takes anything. */
const WRONG = { wrong: [true] };

test('a value of the wrong type in any field of any request is refused, and the field named', async (t) => {
  const rig = await AdminRig.start(t);
  const client = await rig.client();
  const { key_id } = (await rig.send('POST', `${client}/keys`, { mode: 'live' })).reply;
  let fields = 0;
  for (const { method, url, schema } of ADMIN_ENDPOINTS) {
    const path = url
      .replace('/admin/v1', '')
      .replace('/clients/:client', client)
      .replace(':key', String(key_id))
      .replace(':plan', 'free')
      .replace(':webhook', 'wh_aaaaaaaaaaaaaaaa')
      .replace(':worker', 'wk_aaaaaaaaaaaaaaaa')
      .replace(':shard', '00000000-0000-4000-8000-000000000001');
    for (const name of propertiesOf(schema.body)) {
      const { status, reply } = await rig.send(method, path, {
        ...goodOf(schema.body),
        [name]: WRONG,
      });
      const named = String(reply.field).replace(/[.[].*/, '');
      assert.deepEqual([status, named], [400, name], `${method} ${url}: ${reply.detail}`);
      fields += 1;
    }
    for (const name of propertiesOf(schema.querystring).filter((query) => query !== 'name')) {
      const { status, reply } = await rig.send(method, `${path}?${name}=%20`);
      assert.deepEqual([status, reply.field], [400, name], `${method} ${url}: ${reply.detail}`);
      fields += 1;
    }
    const body = schema.body && goodOf(schema.body);
    const { status, reply } = await rig.send(method, `${path}?unheard_of=1`, body);
    assert.deepEqual([status, reply.field], [400, 'unheard_of'], `${method} ${url}`);
  }
  assert.ok(fields >= 25, `${fields} fields`);
});

/** What must be there for another field to be looked at. */
function goodOf(body: object | undefined): Reply {
  const limits = Object.fromEntries(
    Object.entries(PLAN_LIMITS).map(([name, { max }]) => [name, max]),
  );
  const url = 'https://1.1.1.1/hook';
  const whole = { limits, prices: {}, amount_micros: '1' };
  const good: Reply = { name: 'n', url, mail: [], mode: 'live', reason: 'r', ...whole };
  const known = propertiesOf(body);
  return Object.fromEntries(Object.entries(good).filter(([name]) => known.includes(name)));
}

function propertiesOf(schema: object | undefined): string[] {
  if (schema === undefined) return [];
  const { properties, anyOf } = schema as ObjectSchema & { anyOf?: ObjectSchema[] };
  const inner = properties ?? anyOf?.find((one) => one.properties !== undefined)?.properties;
  return Object.keys(inner ?? {});
}
