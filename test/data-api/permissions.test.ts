/** Every endpoint with every role, on one's own and on another client's data, live and test. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Endpoint } from '../../coordinator/http/endpoint.ts';
import { DATA_ENDPOINTS } from '../../coordinator/http/routes/data/endpoints.ts';
import type { Mode } from '../../shared/domain/collection.ts';
import { mayDo, PERMISSIONS, ROLES } from '../../shared/domain/permissions.ts';
import { requestOf, SMALL_COLLECTION } from '../harness/data-requests.ts';
import { type Answer, type DataRig, startRig } from './data-rig.ts';

const MODES = ['live', 'test'] as const;

function ask(rig: DataRig, endpoint: Endpoint, collection: string, key: string): Promise<Answer> {
  const { method, path, body } = requestOf(endpoint, collection);
  return rig.call(method, path, body, { 'api-key': key });
}

/** What a good request meets where it is not 200: it is there, can not be, nobody has that key, or its
 * namespaces bind it. */
const OTHERWISE: Readonly<Record<string, number>> = {
  'PUT /collections/:collection': 409,
  'POST /collections/:collection/points/vectors/delete': 400,
  'GET /v1/me': 404,
  'GET /v1/keys/:id': 404,
  'GET /v1/invoices/:id': 404,
  'GET /v1/budget': 404,
  'PUT /v1/budget': 403,
  'DELETE /v1/budget': 403,
  'POST /v1/keys': 404,
  'POST /v1/keys/:id/rotate': 404,
  'DELETE /v1/keys/:id': 404,
  'POST /v1/notifications/test': 409,
  'GET /v1/webhooks/:id': 404,
  'PATCH /v1/webhooks/:id': 404,
  'DELETE /v1/webhooks/:id': 404,
  'POST /v1/webhooks/:id/rotate': 404,
  'POST /v1/webhooks/:id/test': 404,
  'GET /v1/webhooks/:id/deliveries': 404,
  'POST /v1/webhooks/:id/replay': 404,
};

/** What only a live key may ask for: it is of the whole client, or about bills, and test data is never billed. */
const LIVE_ONLY =
  /^\/v1\/(?:webhooks|notifications|statement|invoices|budget|audit$|audit\/export)/;

/** The collection `own` with point 1. */
async function makeOwn(rig: DataRig, mode: Mode): Promise<void> {
  const key = { 'api-key': `a-${mode}` };
  await rig.call('PUT', '/collections/own', SMALL_COLLECTION, key);
  const points = [{ id: 1, vector: [1, 0, 0, 0], payload: { b: 1 } }];
  const { status } = await rig.call('PUT', '/collections/own/points', { points }, key);
  assert.equal(status, 200);
}

for (const endpoint of DATA_ENDPOINTS) {
  const { method, url, needs } = endpoint;
  test(`${method} ${url} is for those who may ${PERMISSIONS[needs].help}`, async (t) => {
    const rig = await startRig(t);
    for (const mode of MODES) {
      for (const role of ROLES) {
        await makeOwn(rig, mode);
        const answer = await ask(rig, endpoint, 'own', `a-${mode}-${role}`);
        const { status, json } = answer;
        const context = `${role}, ${mode}: ${status} ${answer.text}`;
        if (mayDo(role, needs) && mode === 'test' && LIVE_ONLY.test(url)) {
          assert.equal(status, 403, context);
          continue;
        }
        if (mayDo(role, needs)) {
          assert.equal(status, OTHERWISE[`${method} ${url}`] ?? 200, context);
          continue;
        }
        assert.equal(status, 403, context);
        assert.equal(json.code, 'forbidden');
        assert.match(json.status.error, new RegExp(`role "${role}" may not`));
      }
    }
  });
}

/** Answered for any name, as other servers do. */
const SAYS_NO = new Set(['GET /collections/:collection/exists', 'DELETE /collections/:collection']);

const IN_COLLECTION = DATA_ENDPOINTS.filter(({ method, url }) => {
  return url.includes(':collection') && `${method} ${url}` !== 'PUT /collections/:collection';
});

test('the matrix is whole', () => {
  assert.ok(IN_COLLECTION.length > 20);
  assert.equal(DATA_ENDPOINTS.filter(({ url }) => url.startsWith('/v1/')).length, 30);
});

/** Whoever is asked for what is another client's, or of the other mode. */
const STRANGERS = [
  ['b', 'live', 'live'],
  ['b', 'live', 'test'],
  ['b', 'test', 'live'],
  ['b', 'test', 'test'],
  ['a', 'live', 'test'],
  ['a', 'test', 'live'],
] as const;

for (const endpoint of IN_COLLECTION) {
  const name = `${endpoint.method} ${endpoint.url}`;
  test(`${name}: what is foreign is answered as what is missing`, async (t) => {
    const rig = await startRig(t);
    for (const [client, mode, ofMode] of STRANGERS) {
      await holdOnly(rig, ofMode);
      for (const role of ROLES) {
        const key = `${client}-${mode}-${role}`;
        const context = `${key} asks for what is ${ofMode}`;
        const foreign = await ask(rig, endpoint, 'mine', key);
        const missing = await ask(rig, endpoint, 'none', key);
        const good = SAYS_NO.has(name) ? 200 : 404;
        assert.equal(foreign.status, mayDo(role, endpoint.needs) ? good : 403, context);
        assert.equal(foreign.status, missing.status, context);
        const [one, other] = [sameTime(foreign.text), sameTime(missing.text)];
        assert.equal(one, other.replaceAll('none', 'mine'), context);
        assert.equal(one.length, other.length, context);
      }
    }
  });
}

/** The collection `mine` of client A is there in this mode only. */
async function holdOnly(rig: DataRig, mode: Mode): Promise<void> {
  for (const other of MODES) {
    const key = { 'api-key': `a-${other}` };
    if (other === mode) await rig.call('PUT', '/collections/mine', SMALL_COLLECTION, key);
    else await rig.call('DELETE', '/collections/mine', undefined, key);
  }
}

function sameTime(text: string): string {
  return text.replace(/"time":[0-9.]+/, '"time":0');
}

test('a key that may only search can not list points by a query for nothing', async (t) => {
  const rig = await startRig(t);
  await rig.call('PUT', '/collections/own', SMALL_COLLECTION);
  const key = { 'api-key': 'a-live-analyst' };
  const one = await rig.call('POST', '/collections/own/points/query', { limit: 5 }, key);
  const batch = { searches: [{ query: [1, 0, 0, 0] }, { limit: 5 }] };
  const many = await rig.call('POST', '/collections/own/points/query/batch', batch, key);
  assert.deepEqual([one.status, many.status], [403, 403]);
});
