import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LIMITS } from './limits.ts';

// The relations between bounds are asserted when the file loads; this holds what is left.
test('every bound is a positive integer', () => {
  for (const [name, bound] of Object.entries(LIMITS)) {
    assert(Number.isSafeInteger(bound) && bound > 0, name);
    assert.match(name, /Max$/, `${name}: the qualifier stands last`);
  }
});

test('the dialect demands these', () => {
  assert(LIMITS.collectionNameBytesMax === 255);
  assert(LIMITS.dimensionMax >= 8_192);
  assert(LIMITS.searchHitsMax >= 10_000);
});
