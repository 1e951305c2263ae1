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

test('a key works in its namespaces, whose collections do not meet', async (t) => {
  const { call, worker } = await startRig(t, { limits: { namespaces: 2 } });
  const config = { vectors: { size: 4, distance: 'Cosine' } };
  const inSpace = (key: string, namespace?: string) => {
    return { 'api-key': key, ...(namespace !== undefined && { 'x-namespace': namespace }) };
  };
  const names = async (headers: Record<string, string>) => {
    const { status, json } = await call('GET', '/collections', undefined, headers);
    assert.equal(status, 200);
    return json.result.collections.map(({ name }: { name: string }) => name);
  };
  const make = (name: string, headers: Record<string, string>) => {
    return call('PUT', `/collections/${name}`, config, headers);
  };
  assert.equal((await make('c', inSpace('a-live-regions'))).status, 200);
  assert.equal((await make('c', inSpace('a-live-regions', 'us'))).status, 200);
  assert.equal((await make('d', inSpace('a-live-everywhere', 'us'))).status, 200);
  assert.deepEqual(await names(inSpace('a-live-regions', 'eu')), ['c']);
  assert.deepEqual(await names(inSpace('a-live-everywhere', 'us')), ['c', 'd']);
  assert.deepEqual(await names(inSpace('a-live-everywhere')), []);
  const spaces = [...worker.shards.values()].map(({ descriptor }) => descriptor.place.namespace);
  assert.deepEqual(spaces, ['eu', 'us', 'us']);
  assert.equal((await call('GET', '/collections/c')).status, 404, 'it is not in "default"');
  const refused = await make('e', inSpace('a-live-everywhere', 'asia'));
  assert.deepEqual([refused.status, refused.json.code], [403, 'quota_exceeded']);
  assert.match(refused.json.status.error, /at most 2 namespaces/);
  for (const headers of [
    inSpace('a-live-regions', 'default'),
    inSpace('a-live-regions', 'EU'),
    inSpace('a-live-everywhere', '../us'),
    inSpace('a-live-everywhere', ''),
    inSpace('a-live-everywhere', 'eu, us'),
  ]) {
    const { status, json } = await call('GET', '/collections', undefined, headers);
    assert.deepEqual([status, json.code], [400, 'invalid_argument'], headers['x-namespace']);
  }
});

test('who shows no good key hears of the key, whatever else the header says', async (t) => {
  const { call } = await startRig(t);
  const headers = { 'api-key': 'nobody', 'x-tenant-id': STRANGER };
  assert.equal((await call('GET', '/collections', undefined, headers)).status, 401);
});
