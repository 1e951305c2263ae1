import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pickDiverse } from './mmr.ts';

const VECTORS = new Float32Array([1, 0, 0.99, 0.1, 0, 1, -1, 0]);
const dot = {
  scores: [1, 0.99, 0.3, -1],
  vectors: VECTORS,
  dimension: 2,
  distance: 'Dot',
} as const;

test('without diversity the order of the search stays', () => {
  assert.deepEqual(pickDiverse(dot, 4, 0), [0, 1, 2, 3]);
});

test('with diversity a near copy waits behind what is different', () => {
  assert.deepEqual(pickDiverse(dot, 3, 0.5), [0, 2, 1]);
});

test('distances count the other way round', () => {
  const candidates = { ...dot, scores: [0, 0.1, 1.4, 2], distance: 'Euclid' } as const;
  assert.deepEqual(pickDiverse(candidates, 4, 0), [0, 1, 2, 3]);
  assert.equal(pickDiverse(candidates, 2, 0.9)[1], 3);
});

test('there are never more picks than candidates', () => {
  assert.equal(pickDiverse(dot, 10, 0.5).length, 4);
  assert.deepEqual(pickDiverse({ ...dot, scores: [], vectors: new Float32Array() }, 3, 0.5), []);
});
