import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvalidInput } from '../base/invalid.ts';
import { SeededRandom } from '../base/random.ts';
import { DISTANCES, higherIsNearer, prepareVector } from './distance.ts';

function length(vector: Float32Array): number {
  return Math.hypot(...vector);
}

test('similarities rank high first, distances low first', () => {
  assert.deepEqual(DISTANCES.filter(higherIsNearer), ['Cosine', 'Dot']);
});

test('under Cosine a vector gets unit length and keeps its direction', () => {
  const random = new SeededRandom(11);
  for (const dimension of [1, 2, 3, 127, 256, 8_192]) {
    const vector = Float32Array.from({ length: dimension }, () => random.normal());
    const before = vector.slice();
    prepareVector('Cosine', vector, 'vector');
    assert(Math.abs(length(vector) - 1) < 1e-5);
    const ratio = (before[0] ?? 0) / (vector[0] ?? 1);
    assert(Math.abs(ratio - length(before)) < 1e-3 * length(before));
  }
});

test('preparing twice changes nothing more: a stored vector can be stored again', () => {
  const random = new SeededRandom(12);
  for (let round = 0; round < 200; round += 1) {
    const vector = Float32Array.from({ length: 64 }, () => random.normal());
    prepareVector('Cosine', vector, 'vector');
    const once = vector.slice();
    prepareVector('Cosine', vector, 'vector');
    assert.deepEqual(vector, once);
  }
});

test('the smallest and the largest float32 values survive', () => {
  const cases = [
    [1e-45, 1e-45],
    [3.4e38, -3.4e38],
    [1e-30, 0],
  ];
  for (const components of cases) {
    const vector = Float32Array.from(components);
    prepareVector('Cosine', vector, 'vector');
    assert(Math.abs(length(vector) - 1) < 1e-5, String(components));
  }
});

test('a zero vector has no direction', () => {
  for (const zero of [
    [0, 0],
    [-0, 0],
  ]) {
    assert.throws(
      () => prepareVector('Cosine', Float32Array.from(zero), 'points[0].vector'),
      (error) => error instanceof InvalidInput && error.path === 'points[0].vector',
    );
  }
});

test('a vector whose products are infinite as float32 is refused, but for its direction', () => {
  for (const distance of ['Dot', 'Euclid', 'Manhattan'] as const) {
    prepareVector(distance, Float32Array.of(2 ** 61, 2 ** 61), 'vector');
    for (const components of [
      [1e19, 0],
      [4e18, -4e18],
    ]) {
      assert.throws(
        () => prepareVector(distance, Float32Array.from(components), 'points[0].vector'),
        (error) => error instanceof InvalidInput && error.path === 'points[0].vector',
      );
    }
  }
});

test('other distances take vectors as they are', () => {
  for (const distance of ['Dot', 'Euclid', 'Manhattan'] as const) {
    for (const components of [
      [3, 4],
      [0, 0],
    ]) {
      const vector = Float32Array.from(components);
      prepareVector(distance, vector, 'vector');
      assert.deepEqual([...vector], components);
    }
  }
});
