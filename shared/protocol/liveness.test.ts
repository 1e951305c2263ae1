import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../base/clock.ts';
import { Liveness, PING_INTERVAL_MS } from './liveness.ts';

function watch() {
  const clock = new ManualClock();
  const seen = { pings: 0, terminated: 0 };
  const liveness = new Liveness(clock, {
    ping: () => {
      seen.pings += 1;
    },
    terminate: () => {
      seen.terminated += 1;
    },
  });
  return { clock, seen, liveness };
}

test('a silent peer is dropped within ten seconds', () => {
  const { clock, seen } = watch();
  let ms = 0;
  while (seen.terminated === 0 && ms <= 10_000) {
    clock.advance(PING_INTERVAL_MS);
    ms += PING_INTERVAL_MS;
  }
  assert.deepEqual(seen, { pings: 15, terminated: 1 });
  assert(ms <= 10_000);
  clock.advance(60_000);
  assert.equal(seen.terminated, 1);
});

test('a peer is called silent within two seconds, and no longer when it is heard', () => {
  const { clock, liveness } = watch();
  clock.advance(PING_INTERVAL_MS);
  assert.equal(liveness.silent, false);
  for (let ms = PING_INTERVAL_MS; ms < 2_000; ms += PING_INTERVAL_MS) {
    clock.advance(PING_INTERVAL_MS);
  }
  assert.equal(liveness.silent, true);
  liveness.heard();
  assert.equal(liveness.silent, false);
});

test('a peer that answers is kept', () => {
  const { clock, seen, liveness } = watch();
  for (let i = 0; i < 100; i += 1) {
    clock.advance(PING_INTERVAL_MS);
    if (i % 3 === 2) liveness.heard();
  }
  assert.deepEqual(seen, { pings: 100, terminated: 0 });
});

test('a pause of our own process does not condemn the peer', () => {
  const { clock, seen, liveness } = watch();
  clock.advance(60_000);
  liveness.heard();
  clock.advance(PING_INTERVAL_MS);
  assert.equal(seen.terminated, 0);
});

test('after stop nothing happens', () => {
  const { clock, seen, liveness } = watch();
  liveness.stop();
  clock.advance(60_000);
  assert.deepEqual(seen, { pings: 0, terminated: 0 });
});
