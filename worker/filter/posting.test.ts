import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Bitmap } from '../../shared/base/bitmap.ts';
import { SeededRandom, secureRandom } from '../../shared/base/random.ts';
import { Posting } from './posting.ts';

it('holds the labels that a set holds, in every form (random)', () => {
  const seed = secureRandom.below(2 ** 32);
  console.log(`posting seed ${seed}`);
  const random = new SeededRandom(seed);
  for (const universe of [3, 300, 5_000, 200_000]) {
    const first = random.below(universe);
    const posting = new Posting('key', first);
    const model = new Set([first]);
    for (let step = 0; step < 4_000; step += 1) {
      const label = random.below(universe);
      const growing = Math.floor(step / 1_000) % 2 === 0;
      if (!model.has(label) && growing) {
        posting.add(label);
        model.add(label);
      } else if (!growing && model.size > 1) {
        const gone = model.has(label) ? label : (model.values().next().value as number);
        posting.remove(gone);
        model.delete(gone);
      }
      assert.equal(posting.count, model.size);
      if (step % 500 === 499) assertSame(posting, model);
    }
    for (const label of model) posting.remove(label);
    assertSame(posting, new Set());
  }
});

function assertSame(posting: Posting<string>, model: Set<number>): void {
  const expected = [...model].sort((a, b) => a - b);
  const into = new Bitmap();
  posting.addTo(into);
  assert.deepEqual([...into.toLabels()], expected);
  const visited: number[] = [];
  posting.forEach((label) => {
    visited.push(label);
  });
  assert.deepEqual(visited, expected);
}

it('takes little memory: nothing for one label, at most one bit for each label when dense', () => {
  const posting = new Posting('key', 0);
  assert.equal(posting.memoryBytes, 0);
  for (let label = 1; label < 100_000; label += 1) posting.add(label);
  assert.ok(posting.memoryBytes <= 2 * (100_000 / 8) + 64, String(posting.memoryBytes));
});
