/** What a plan allows: collections and dimensions, also for those who ask all at once. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { startRig } from './data-rig.ts';

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

test('vectors as long as the plan says, at most', async (t) => {
  const { call } = await startRig(t, { limits: { dimensions: 4 } });
  const long = { vectors: { size: 5, distance: 'Cosine' } };
  const refused = await call('PUT', '/collections/long', long);
  assert.equal(refused.status, 400);
  assert.match(refused.json.status.error, /vectors\.size.*at most 4/);
  assert.equal((await call('PUT', '/collections/short', SMALL)).status, 200);
});
