/** An address that presents one bad key after the other is slowed down, and nobody else is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../shared/base/clock.ts';
import { type DataRig, startRig } from './data-rig.ts';

const BURST = 20;

async function present(rig: DataRig, key: string, from?: string) {
  const headers = { 'api-key': key, ...(from !== undefined && { 'x-forwarded-for': from }) };
  return rig.call('GET', '/collections', undefined, headers);
}

test('after some bad keys an address waits, good keys from it do not', async (t) => {
  const clock = new ManualClock();
  const rig = await startRig(t, { clock });
  for (let i = 0; i < BURST; i += 1) {
    assert.equal((await present(rig, `bad-${i}`)).status, 401);
  }
  const slowed = await present(rig, 'bad');
  assert.deepEqual([slowed.status, slowed.json.code], [429, 'rate_limited']);
  assert.match(slowed.headers.get('retry-after') ?? '', /^[1-9][0-9]*$/);
  assert.equal((await present(rig, 'a-live')).status, 200);
  clock.advance(1_000);
  assert.deepEqual(
    [(await present(rig, 'bad')).status, (await present(rig, 'bad')).status],
    [401, 429],
  );
  clock.advance(60_000);
  assert.equal((await present(rig, 'bad')).status, 401);
});

test('addresses are told apart by a trusted proxy, and by nobody else', async (t) => {
  const clock = new ManualClock();
  const behind = await startRig(t, { clock, trustedProxies: ['127.0.0.0/8', '::1'] });
  for (let i = 0; i <= BURST; i += 1) await present(behind, 'bad', '192.0.2.1');
  assert.equal((await present(behind, 'bad', '192.0.2.1')).status, 429);
  assert.equal((await present(behind, 'bad', '192.0.2.2')).status, 401);
  const direct = await startRig(t, { clock });
  for (let i = 0; i <= BURST; i += 1) await present(direct, 'bad', `192.0.2.${i}`);
  assert.equal((await present(direct, 'bad', '192.0.2.99')).status, 429);
});

test('a request without a key is no bad key', async (t) => {
  const rig = await startRig(t, { clock: new ManualClock() });
  for (let i = 0; i < 2 * BURST; i += 1) assert.equal((await present(rig, '')).status, 401);
});
