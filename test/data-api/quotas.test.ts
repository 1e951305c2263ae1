/** What a plan allows: collections and dimensions, also for those who ask all at once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KeyId } from '../../shared/base/ids.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { CLIENT_A, startRig } from './data-rig.ts';

const PRINCIPAL = {
  keyId: 'key_aaaaaaaaaaaaaaaa' as KeyId,
  role: 'admin',
  namespaces: null,
  namespace: 'default',
  requestsPerSecond: null,
  endsAt: null,
} as const;
const SMALL = { vectors: { size: 4, distance: 'Cosine' } };

test('as many collections as the plan says, however many are made at once', async (t) => {
  const { call } = await startRig(t, { limits: { collections: 3 } });
  const make = (name: string, key = 'a-live') => {
    return call('PUT', `/collections/${name}`, SMALL, { 'api-key': key });
  };
  const names = Array.from({ length: 12 }, (_, i) => `c${i}`);
  const answers = await Promise.all(names.map((name) => make(name)));
  const made = names.filter((_, i) => answers[i]?.status === 200);
  assert.equal(made.length, 3);
  for (const { status, json } of answers.filter((answer) => answer.status !== 200)) {
    assert.deepEqual([status, json.code], [403, 'quota_exceeded']);
    assert.match(json.status.error, /at most 3 collections/);
  }
  assert.equal((await make('theirs', 'b-live')).status, 200, 'nobody else is bound by it');
  const tests = await Promise.all(names.map((name) => make(name, 'a-test')));
  assert.ok(
    tests.every(({ status }) => status === 200),
    'test data is not counted',
  );
  await call('DELETE', `/collections/${made[0]}`);
  assert.equal((await make('again')).status, 200);
  assert.equal((await make('one-more')).status, 403);
});

test('as many namespaces as the plan says, however many come into being at once', async (t) => {
  const { call } = await startRig(t, { limits: { namespaces: 2 } });
  const make = (namespace: string) => {
    const headers = { 'api-key': 'a-live-everywhere', 'x-namespace': namespace };
    return call('PUT', '/collections/c', SMALL, headers);
  };
  const answers = await Promise.all(Array.from({ length: 8 }, (_, i) => make(`n${i}`)));
  assert.equal(answers.filter(({ status }) => status === 200).length, 2);
  const refused = answers.filter(({ status }) => status !== 200);
  assert.ok(refused.every(({ json }) => json.code === 'quota_exceeded'));
});

test('test data has bounds of its own', async (t) => {
  const { plane } = await startRig(t, { limits: { points: 1, collections: 1 } });
  const owner = { clientId: CLIENT_A, mode: 'test' } as const;
  const { limits } = await plane.account.limits({ ...owner, ...PRINCIPAL });
  const { points, bytes, collections } = limits;
  const { testPointsMax, testBytesMax, testCollectionsMax } = LIMITS;
  assert.deepEqual([points, bytes, collections], [testPointsMax, testBytesMax, testCollectionsMax]);
});

test('vectors as long as the plan says, at most', async (t) => {
  const { call } = await startRig(t, { limits: { dimensions: 4 } });
  const long = { vectors: { size: 5, distance: 'Cosine' } };
  const refused = await call('PUT', '/collections/long', long);
  assert.equal(refused.status, 400);
  assert.match(refused.json.status.error, /vectors\.size.*at most 4/);
  assert.equal((await call('PUT', '/collections/short', SMALL)).status, 200);
});
