import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvalidInput } from './invalid.ts';

test('the sentence names the place, when there is one', () => {
  assert.equal(new InvalidInput('points[3].id', 'is missing').message, 'points[3].id: is missing');
  assert.equal(new InvalidInput('', 'the body is empty').message, 'the body is empty');
  assert.equal(new InvalidInput('a', 'b').path, 'a');
});
