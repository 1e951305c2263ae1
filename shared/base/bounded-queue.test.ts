import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BoundedQueue } from './bounded-queue.ts';
import { SeededRandom } from './random.ts';

test('a full queue does not take the item', () => {
  const queue = new BoundedQueue<string>(2);
  assert.deepEqual([queue.push('a'), queue.push('b'), queue.push('c')], [true, true, false]);
  assert.deepEqual([queue.shift(), queue.shift(), queue.shift()], ['a', 'b', undefined]);
  assert.equal(queue.size, 0);
});

test('capacity is a positive integer', () => {
  for (const capacity of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    assert.throws(() => new BoundedQueue(capacity), { name: 'AssertionError' });
  }
});

test('it behaves like an array through growth and wrap-around', (t) => {
  const seed = Math.trunc(process.hrtime()[1]);
  t.diagnostic(`seed ${seed}`);
  const random = new SeededRandom(seed);
  for (const capacity of [1, 15, 16, 17, 100]) {
    const queue = new BoundedQueue<number>(capacity);
    const model: number[] = [];
    for (let step = 0; step < 2_000; step += 1) {
      // Phases that mostly fill alternate with phases that mostly drain.
      if (random.next() < (step % 400 < 200 ? 0.7 : 0.3)) {
        assert.equal(queue.push(step), model.length < capacity);
        if (model.length < capacity) model.push(step);
      } else {
        assert.equal(queue.shift(), model.shift());
      }
      assert.equal(queue.size, model.length);
    }
  }
});
