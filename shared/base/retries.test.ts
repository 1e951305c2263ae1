import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from './clock.ts';
import { Retries } from './retries.ts';

test('pauses grow to a minute, for each key by itself, until it is settled', () => {
  const clock = new ManualClock();
  const tried: string[] = [];
  const retries = new Retries<string>(clock, (key) => void tried.push(key));
  const delays = Array.from({ length: 8 }, () => {
    const next = retries.retry('a');
    clock.advance(next?.delayMs ?? 0);
    return next?.delayMs;
  });
  assert.deepEqual(delays, [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
  assert.equal(tried.length, 8);
  assert.deepEqual(retries.retry('b'), { attempts: 1, delayMs: 1_000 });
  retries.settle('a');
  assert.deepEqual(retries.retry('a'), { attempts: 1, delayMs: 1_000 });
});

test('one try of a key is pending at a time, none when it is settled or all is closed', () => {
  const clock = new ManualClock();
  const tried: string[] = [];
  const retries = new Retries<string>(clock, (key) => void tried.push(key));
  retries.retry('a');
  retries.retry('a');
  retries.retry('settled');
  retries.settle('settled');
  clock.advance(10_000);
  assert.deepEqual(tried, ['a']);
  retries.retry('closed');
  retries.close();
  assert.equal(retries.retry('late'), undefined);
  clock.advance(600_000);
  assert.deepEqual(tried, ['a']);
});
