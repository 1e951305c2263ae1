import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Bitmap } from '../../shared/base/bitmap.ts';
import { SeededRandom, secureRandom } from '../../shared/base/random.ts';
import { inRange, type NumberRange } from '../../shared/domain/filter.ts';
import { SortedIndex } from './sorted-index.ts';

function labelsIn(index: SortedIndex, range: NumberRange): number[] {
  const into = new Bitmap();
  index.addTo(range, into);
  return [...into.toLabels()];
}

it('finds the labels of a range as a scan of a map does (random)', () => {
  const seed = secureRandom.below(2 ** 32);
  console.log(`sorted-index seed ${seed}`);
  const random = new SeededRandom(seed);
  const index = new SortedIndex();
  const model = new Map<number, number[]>();
  const randomValue = () => (random.below(4) === 0 ? random.normal() * 50 : random.below(100) - 50);
  for (let step = 0; step < 12_000; step += 1) {
    const label = random.below(3_000);
    const growing = step < 5_000 || step > 10_000;
    if (random.below(10) < (growing ? 8 : 2)) {
      const values = [...new Set(Array.from({ length: random.below(4) }, randomValue))];
      index.put(label, values);
      if (values.length === 0) model.delete(label);
      else model.set(label, values);
    } else {
      index.remove(label);
      model.delete(label);
    }
    if (step % 200 === 0) checkRanges(index, model, random);
  }
  for (const label of model.keys()) index.remove(label);
  assert.deepEqual(labelsIn(index, {}), []);
  assert.equal(index.points, 0);
});

function checkRanges(index: SortedIndex, model: Map<number, number[]>, random: SeededRandom): void {
  assert.equal(index.points, model.size);
  for (let i = 0; i < 8; i += 1) {
    const range: NumberRange = {};
    for (const bound of ['lt', 'lte', 'gt', 'gte'] as const) {
      if (random.below(3) === 0) range[bound] = random.below(120) - 60;
    }
    let pairs = 0;
    const expected: number[] = [];
    for (const [label, values] of model) {
      const hits = values.filter((value) => inRange(value, range)).length;
      pairs += hits;
      if (hits > 0) expected.push(label);
    }
    assert.deepEqual(
      labelsIn(index, range),
      expected.sort((a, b) => a - b),
      JSON.stringify(range),
    );
    assert.equal(index.count(range), pairs);
  }
}

it('stays right and compact under ascending, descending and equal inserts', () => {
  for (const value of [(i: number) => i, (i: number) => -i, () => 7]) {
    const index = new SortedIndex();
    for (let label = 0; label < 20_000; label += 1) index.put(label, [value(label)]);
    assert.equal(index.count({}), 20_000);
    assert.equal(index.count({ gte: value(10), lte: value(10) }), value(1) === 7 ? 20_000 : 1);
    assert.ok(index.memoryBytes < 20_000 * 48, String(index.memoryBytes));
  }
});

it('costs little when small', () => {
  const index = new SortedIndex();
  index.put(0, [1]);
  assert.ok(index.memoryBytes < 1_024);
});
