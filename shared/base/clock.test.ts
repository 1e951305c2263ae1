import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock, systemClock } from './clock.ts';
import { Deadline } from './deadline.ts';

test('a manual clock fires what has come due, earliest first, once', () => {
  const clock = new ManualClock(1000);
  const fired: string[] = [];
  clock.after(20, () => fired.push('b'));
  clock.after(10, () => fired.push('a'));
  const cancel = clock.after(15, () => fired.push('cancelled'));
  clock.after(21, () => fired.push('c'));
  cancel();
  clock.advance(20);
  assert.deepEqual(fired, ['a', 'b']);
  clock.advance(1);
  clock.advance(100);
  assert.deepEqual(fired, ['a', 'b', 'c']);
  assert.equal(clock.now(), 1121);
});

test('an action may cancel another that is due at the same moment', () => {
  const clock = new ManualClock();
  const fired: string[] = [];
  let cancel = (): void => undefined;
  clock.after(1, () => {
    fired.push('first');
    cancel();
  });
  cancel = clock.after(2, () => fired.push('second'));
  clock.advance(5);
  assert.deepEqual(fired, ['first']);
});

test('the system clock goes forward and fires', async () => {
  const before = systemClock.monotonicMs();
  const { promise, resolve } = Promise.withResolvers<void>();
  // The system clock's timers do not hold the process open, so something else has to.
  const holder = setInterval(() => undefined, 1000);
  systemClock.after(1, resolve);
  await promise;
  clearInterval(holder);
  assert(systemClock.monotonicMs() > before);
  assert(systemClock.now() > Date.UTC(2024, 0, 1));
});

test('a cancelled alarm of the system clock does not fire', async () => {
  let fired = false;
  const cancel = systemClock.after(0, () => {
    fired = true;
  });
  cancel();
  await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
  assert.equal(fired, false);
});

test('a deadline counts down and stays at 0', () => {
  const clock = new ManualClock();
  const deadline = Deadline.after(clock, 100);
  assert.deepEqual([deadline.remainingMs(), deadline.expired], [100, false]);
  clock.advance(99);
  assert.deepEqual([deadline.remainingMs(), deadline.expired], [1, false]);
  clock.advance(1);
  assert.deepEqual([deadline.remainingMs(), deadline.expired], [0, true]);
  clock.advance(50);
  assert.deepEqual([deadline.remainingMs(), deadline.expired], [0, true]);
});
