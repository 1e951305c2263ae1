/** Every endpoint with every role, on one's own and on another client's data, live and test. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Endpoint } from '../../coordinator/http/endpoint.ts';
import { DATA_ENDPOINTS } from '../../coordinator/http/routes/data/endpoints.ts';
import { mayDo, PERMISSIONS, ROLES } from '../../shared/domain/permissions.ts';
import { requestOf, SMALL_COLLECTION } from '../harness/data-requests.ts';
import { type Answer, type DataRig, startRig } from './data-rig.ts';

const MODES = ['live', 'test'] as const;

function ask(rig: DataRig, endpoint: Endpoint, collection: string, key: string): Promise<Answer> {
  const { method, path, body } = requestOf(endpoint, collection);
  return rig.call(method, path, body, { 'api-key': key });
}

for (const endpoint of DATA_ENDPOINTS) {
  const { method, url, needs } = endpoint;
  test(`${method} ${url} is for those who may ${PERMISSIONS[needs].help}`, async (t) => {
    const rig = await startRig(t);
    for (const mode of MODES) {
      await rig.call('PUT', '/collections/own', SMALL_COLLECTION, { 'api-key': `a-${mode}` });
    }
    for (const mode of MODES) {
      for (const role of ROLES) {
        const answer = await ask(rig, endpoint, 'own', `a-${mode}-${role}`);
        const { status, json } = answer;
        const context = `${role}, ${mode}: ${status} ${answer.text}`;
        if (mayDo(role, needs)) {
          assert.ok(status !== 401 && status !== 403, context);
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

test("another client's collection is answered as one that does not exist", async (t) => {
  const rig = await startRig(t);
  await rig.call('PUT', '/collections/mine', SMALL_COLLECTION);
  const inCollection = DATA_ENDPOINTS.filter(({ method, url }) => {
    return url.includes(':collection') && `${method} ${url}` !== 'PUT /collections/:collection';
  });
  assert.ok(inCollection.length > 20);
  for (const endpoint of inCollection) {
    const name = `${endpoint.method} ${endpoint.url}`;
    const strange = ['b-live', 'a-test'].map((key) => ask(rig, endpoint, 'mine', key));
    const missing = await ask(rig, endpoint, 'none', 'b-live');
    for (const foreign of await Promise.all(strange)) {
      assert.equal(foreign.status, SAYS_NO.has(name) ? 200 : 404, `${name}: ${foreign.text}`);
      assert.equal(foreign.status, missing.status, name);
      assert.equal(sameTime(foreign.text), sameTime(missing.text).replaceAll('none', 'mine'), name);
    }
  }
});

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
