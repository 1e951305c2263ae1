import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SteadyClock } from './steady-clock.ts';

const HOUR_MS = 3_600_000;

test('a clock is relied on when it has gone as it should for a while, after a start and after it was set', () => {
  const time = { now: 1_700_000_000_000, monotonic: 5 };
  const clock = {
    now: () => time.now,
    monotonicMs: () => time.monotonic,
    after: () => () => undefined,
  };
  const pass = (ms: number) => {
    time.now += ms;
    time.monotonic += ms;
  };
  const steady = new SteadyClock(clock, { steadyMs: HOUR_MS });
  pass(HOUR_MS - 1);
  assert.equal(steady.isSteady(), false);
  pass(1);
  time.now += 5_000;
  assert.equal(steady.isSteady(), true, 'a small correction is none');
  time.now += 180 * 24 * HOUR_MS;
  assert.equal(steady.isSteady(), false);
  pass(HOUR_MS / 2);
  assert.equal(steady.isSteady(), false);
  time.now -= 180 * 24 * HOUR_MS;
  assert.equal(steady.isSteady(), false, 'nor when it is set right');
  pass(HOUR_MS);
  assert.equal(steady.isSteady(), true);
});
