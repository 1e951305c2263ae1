import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bitmap } from './bitmap.ts';
import { SeededRandom } from './random.ts';

const EDGES = [0, 1, 30, 31, 32, 33, 63, 64, 1_000_003];

test('labels at the edges of words are kept apart', () => {
  const bitmap = new Bitmap();
  for (const label of EDGES) {
    assert.equal(bitmap.has(label), false);
    bitmap.add(label);
    assert.equal(bitmap.has(label), true);
  }
  assert.equal(bitmap.count(), EDGES.length);
  assert.deepEqual([...bitmap.toLabels()], EDGES);
  bitmap.delete(31);
  bitmap.delete(99_999_999);
  assert.equal(bitmap.has(31), false);
  assert.equal(bitmap.has(30) && bitmap.has(32), true);
});

test('a clone is independent', () => {
  const original = Bitmap.of([1, 40]);
  const copy = original.clone();
  copy.delete(1);
  copy.add(500);
  assert.deepEqual([...original.toLabels()], [1, 40]);
});

test('a negative label is our mistake', () => {
  assert.throws(() => new Bitmap().add(-1), { name: 'AssertionError' });
});

test('set operations agree with Set, whatever the sizes', (t) => {
  const seed = Math.trunc(process.hrtime()[1]);
  t.diagnostic(`seed ${seed}`);
  const random = new SeededRandom(seed);
  for (let round = 0; round < 200; round += 1) {
    const draw = (): Set<number> => {
      const bound = 1 + random.below(300);
      return new Set(Array.from({ length: random.below(100) }, () => random.below(bound)));
    };
    const [a, b] = [draw(), draw()];
    const sorted = (set: Set<number>): number[] => [...set].sort((x, y) => x - y);
    const labels = (bitmap: Bitmap): number[] => [...bitmap.toLabels()];
    assert.deepEqual(labels(Bitmap.of(a).and(Bitmap.of(b))), sorted(a.intersection(b)));
    assert.deepEqual(labels(Bitmap.of(a).or(Bitmap.of(b))), sorted(a.union(b)));
    assert.deepEqual(labels(Bitmap.of(a).andNot(Bitmap.of(b))), sorted(a.difference(b)));
    assert.equal(Bitmap.of(a).count(), a.size);
  }
});
