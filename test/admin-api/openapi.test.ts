/** The document that the admin API serves of itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ADMIN_ENDPOINTS } from '../../coordinator/http/routes/admin/endpoints.ts';
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
