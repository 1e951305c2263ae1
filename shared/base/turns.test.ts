import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Turns } from './turns.ts';

test('so many run at once, the others in their order, and a failure is its own', async () => {
  const turns = new Turns(2);
  const begun: number[] = [];
  let running = 0;
  let most = 0;
  const runs = Array.from({ length: 7 }, (_, i) => {
    return turns.run(async () => {
      begun.push(i);
      running += 1;
      most = Math.max(most, running);
      await new Promise(setImmediate);
      running -= 1;
      if (i === 2) throw new Error('its own');
      return i;
    });
  });
  const ended = await Promise.allSettled(runs);
  assert.deepEqual(begun, [0, 1, 2, 3, 4, 5, 6]);
  assert.equal(most, 2);
  assert.deepEqual(
    ended.map(({ status }) => status === 'fulfilled'),
    [true, true, false, true, true, true, true],
  );
});
