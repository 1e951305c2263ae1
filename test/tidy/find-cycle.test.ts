import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findCycle } from './find-cycle.ts';

test('a circle is found and a diamond is none', () => {
  const diamond = new Map([
    ['a', ['b', 'c']],
    ['b', ['d']],
    ['c', ['d']],
  ]);
  assert.equal(findCycle(diamond), undefined);
  assert.deepEqual(findCycle(new Map([...diamond, ['d', ['b']]])), ['b', 'd', 'b']);
  assert.deepEqual(findCycle(new Map([['x', ['x']]])), ['x', 'x']);
});
