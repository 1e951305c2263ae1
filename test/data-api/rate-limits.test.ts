/** Rate limits over HTTP: what a client is told, and that it is the only one to hear of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../shared/base/clock.ts';
import { startRig } from './data-rig.ts';

const SLOW = { requests_per_second: 2, burst: 3 };

test('past its burst a client hears 429, when to come again, and what is left', async (t) => {
  const clock = new ManualClock();
  const { call } = await startRig(t, { limits: SLOW, clock });
  const list = (key: string) => call('GET', '/collections', undefined, { 'api-key': key });
  const answers = [];
  for (let i = 0; i < 5; i += 1) answers.push(await list('a-live'));
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 200, 200, 429, 429],
  );
  for (const { headers } of answers) {
    assert.equal(headers.get('ratelimit-policy'), '"client";q=4;w=2');
  }
  assert.deepEqual(
    answers.map(({ headers }) => headers.get('ratelimit')),
    [
      '"client";r=2;t=1',
      '"client";r=1;t=1',
      '"client";r=0;t=2',
      '"client";r=0;t=2',
      '"client";r=0;t=2',
    ],
  );
  const refused = answers[4];
  assert.equal(refused?.headers.get('retry-after'), '1');
  assert.equal(refused?.json.code, 'rate_limited');
  assert.equal((await list('a-test')).status, 429, 'all keys of a client together');
  assert.equal((await list('b-live')).status, 200, 'and nobody else');
  clock.advance(500);
  assert.deepEqual([(await list('a-live')).status, (await list('a-live')).status], [200, 429]);
});

test('what is no request of a client costs nothing: health, and keys that are none', async (t) => {
  const { call } = await startRig(t, { limits: SLOW, clock: new ManualClock() });
  for (let i = 0; i < 10; i += 1) {
    assert.equal((await call('GET', '/healthz', undefined, { 'api-key': 'a-live' })).status, 200);
    const stranger = await call('GET', '/collections', undefined, { 'api-key': 'nobody' });
    assert.equal(stranger.status, 401);
    assert.equal(stranger.headers.get('ratelimit'), null);
  }
  assert.equal((await call('GET', '/collections', undefined, { 'api-key': 'a-live' })).status, 200);
});
