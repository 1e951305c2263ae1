import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AssertionError, must, assert as ours, unreachable } from './assert.ts';

test('assert throws the broken expectation', () => {
  ours(1, 'one is true');
  assert.throws(() => ours(0, 'zero is true'), new AssertionError('zero is true'));
});

test('must passes every value but null and undefined', () => {
  for (const value of [0, '', false, Number.NaN]) assert.equal(must(value, 'there'), value);
  for (const value of [null, undefined]) assert.throws(() => must(value, 'there'), /there/);
});

test('unreachable names the case', () => {
  assert.throws(() => unreachable('a new case' as never), /a new case/);
});
