import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../shared/base/clock.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import { RateLimiter } from './rate-limiter.ts';

const RATE = { perSecond: 10, burst: 5 };

function limiter(): { clock: ManualClock; take: (id?: string, rate?: typeof RATE) => boolean } {
  const clock = new ManualClock();
  const buckets = new RateLimiter<string>({ clock });
  return { clock, take: (id = 'a', rate = RATE) => buckets.take(id, rate).allowed };
}

test('a burst passes at once, then the rate, and each bucket is its own', () => {
  const { clock, take } = limiter();
  assert.deepEqual(
    Array.from({ length: 7 }, () => take()),
    [...Array(5).fill(true), false, false],
  );
  assert.equal(take('b'), true);
  clock.advance(99);
  assert.equal(take(), false);
  clock.advance(1);
  assert.deepEqual([take(), take()], [true, false]);
  clock.advance(10_000);
  assert.equal(Array.from({ length: 9 }, () => take()).filter(Boolean).length, 5);
});

test('it says how many are left, and exactly when the next one passes', () => {
  const clock = new ManualClock();
  const buckets = new RateLimiter<string>({ clock });
  const left = Array.from({ length: 5 }, () => buckets.take('a', RATE).remaining);
  assert.deepEqual(left, [4, 3, 2, 1, 0]);
  clock.advance(30);
  const refused = buckets.take('a', RATE);
  assert.deepEqual([refused.allowed, refused.remaining], [false, 0]);
  assert.ok(Math.abs(refused.retryAfterMs - 70) < 1e-6 && Math.abs(refused.resetMs - 470) < 1e-6);
  clock.advance(70);
  assert.equal(buckets.take('a', RATE).allowed, true);
});

test('over any time, a client gets its rate and at most one burst more', (t) => {
  const seed = 4;
  t.diagnostic(`seed ${seed}`);
  const random = new SeededRandom(seed);
  for (const perSecond of [1, 7, 60, 5_000]) {
    const rate = { perSecond, burst: 1 + random.below(100) };
    const clock = new ManualClock();
    const buckets = new RateLimiter<string>({ clock });
    let allowed = 0;
    let ms = 0;
    while (ms < 20_000) {
      for (let i = random.below(1 + perSecond / 10); i >= 0; i -= 1) {
        if (buckets.take('a', rate).allowed) allowed += 1;
      }
      const step = random.below(20);
      clock.advance(step);
      ms += step;
    }
    const most = rate.burst + (perSecond * ms) / 1_000;
    assert.ok(allowed <= most + 1e-6, `${allowed} of ${most} at ${perSecond}/s`);
    assert.ok(allowed >= 0.98 * most - 1 || perSecond > 1_000, `${allowed} of ${most}`);
  }
});

test('a limit that is changed holds from the next request on', () => {
  const { clock, take } = limiter();
  const slow = { perSecond: 1, burst: 100 };
  for (let i = 0; i < 100; i += 1) take('a', slow);
  const lower = { perSecond: 10, burst: 2 };
  assert.equal(take('a', lower), false);
  clock.advance(200);
  assert.deepEqual([take('a', lower), take('a', lower), take('a', lower)], [true, true, false]);
});

test('buckets that are as good as new are forgotten when there are many', () => {
  const clock = new ManualClock();
  const buckets = new RateLimiter<number>({ clock });
  for (let id = 0; id < 10_000; id += 1) {
    buckets.take(id, RATE);
    clock.advance(1);
  }
  assert.ok(buckets.size <= 4_096, `${buckets.size}`);
});

test('several units are taken at once; more than a burst needs a full bucket, and passes then', () => {
  const clock = new ManualClock();
  const buckets = new RateLimiter<string>({ clock });
  assert.equal(buckets.take('a', RATE, 3).remaining, 2);
  const refused = buckets.take('a', RATE, 4);
  assert.deepEqual([refused.allowed, refused.remaining], [false, 2]);
  assert.ok(Math.abs(refused.retryAfterMs - 200) < 1e-6);
  assert.equal(buckets.take('a', RATE, 2).allowed, true);
  assert.equal(buckets.take('a', RATE, 100).allowed, false);
  clock.advance(500);
  assert.equal(buckets.take('a', RATE, 100).allowed, true);
  assert.equal(buckets.take('a', RATE).allowed, false);
});

test('waiting times are told without taking anything', () => {
  const clock = new ManualClock();
  const buckets = new RateLimiter<string>({ clock });
  assert.equal(buckets.waitMs('a', RATE), 0);
  buckets.take('a', RATE, 5);
  assert.ok(Math.abs(buckets.waitMs('a', RATE) - 100) < 1e-6);
  clock.advance(100);
  assert.equal(buckets.waitMs('a', RATE), 0);
});
