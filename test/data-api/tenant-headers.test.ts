/** Headers by which other systems choose a tenant choose nothing here. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLIENT_A, startRig } from './data-rig.ts';

const STRANGER = 'cl_bbbbbbbbbbbbbbbb';

test('a tenant or namespace that disagrees with the key is refused, and one that agrees is not', async (t) => {
  const { call } = await startRig(t);
  await call('PUT', '/collections/c', { vectors: { size: 4, distance: 'Cosine' } });
  const list = (headers: Record<string, string>) => {
    return call('GET', '/collections', undefined, headers);
  };
  for (const headers of [
    { 'x-tenant-id': CLIENT_A },
    { 'X-Tenant-ID': CLIENT_A, 'X-Namespace': 'default' },
  ] as Record<string, string>[]) {
    const { status, json } = await list(headers);
    assert.equal(status, 200);
    assert.equal(json.result.collections.length, 1);
  }
  for (const headers of [
    { 'x-tenant-id': STRANGER },
    { 'x-tenant-id': '' },
    { 'x-tenant-id': `${CLIENT_A}, ${STRANGER}` },
    { 'x-tenant-id': CLIENT_A.toUpperCase() },
    { 'x-namespace': 'other' },
    { 'x-tenant-id': CLIENT_A, 'x-namespace': '../default' },
  ] as Record<string, string>[]) {
    const { status, json } = await list(headers);
    assert.equal(status, 400, JSON.stringify(headers));
    assert.match(json.status.error, /X-(Tenant-Id|Namespace) does not agree with the key/);
  }
  const twice = new Headers([
    ['x-tenant-id', CLIENT_A],
    ['x-tenant-id', CLIENT_A],
  ]);
  assert.equal((await list(Object.fromEntries(twice))).status, 400);
});

test('who shows no good key hears of the key, whatever else the header says', async (t) => {
  const { call } = await startRig(t);
  const headers = { 'api-key': 'nobody', 'x-tenant-id': STRANGER };
  assert.equal((await call('GET', '/collections', undefined, headers)).status, 401);
});
