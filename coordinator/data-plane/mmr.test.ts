import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../shared/base/clock.ts';
import { Slices } from '../../shared/base/slices.ts';
import { type Candidates, pickDiverse } from './mmr.ts';

const pick = (candidates: Candidates, limit: number, diversity: number) =>
  pickDiverse(candidates, { limit, diversity }, new Slices(systemClock));

const VECTORS = new Float32Array([1, 0, 0.99, 0.1, 0, 1, -1, 0]);
const dot = {
  scores: [1, 0.99, 0.3, -1],
  vectors: VECTORS,
  dimension: 2,
  distance: 'Dot',
} as const;

test('without diversity the order of the search stays', async () => {
  assert.deepEqual(await pick(dot, 4, 0), [0, 1, 2, 3]);
});

test('with diversity a near copy waits behind what is different', async () => {
  assert.deepEqual(await pick(dot, 3, 0.5), [0, 2, 1]);
});

test('distances count the other way round', async () => {
  const candidates = { ...dot, scores: [0, 0.1, 1.4, 2], distance: 'Euclid' } as const;
  assert.deepEqual(await pick(candidates, 4, 0), [0, 1, 2, 3]);
  assert.equal((await pick(candidates, 2, 0.9))[1], 3);
});

test('there are never more picks than candidates', async () => {
  assert.equal((await pick(dot, 10, 0.5)).length, 4);
  assert.deepEqual(await pick({ ...dot, scores: [], vectors: new Float32Array() }, 3, 0.5), []);
});
