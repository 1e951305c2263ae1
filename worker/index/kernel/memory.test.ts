import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../../../shared/base/random.ts';
import { config, drawer, exact, OPTIONS } from '../../../test/recall/index-recall.ts';
import { openIndex } from '../open-index.ts';
import { KernelIndex } from './kernel-index.ts';

/** A process has addresses for 16,356 memories. */
const TINY_SHARDS = 20_000;

test('more tiny shards than a process has room for memories', () => {
  const random = new SeededRandom(1);
  const of = config(4);
  const draw = drawer('clustered', random, of);
  const indexes = Array.from({ length: TINY_SHARDS }, () => new KernelIndex(of, OPTIONS));
  for (const index of indexes) for (let label = 0; label < 3; label += 1) index.add(label, draw());
  const query = draw();
  for (const index of indexes) assert.equal(index.search(query, 3, 16)?.labels.length, 3);
});

for (const distance of ['Cosine', 'Manhattan'] as const) {
  test(`a tiny shard and one that is no more: same points, same image, ${distance}`, async () => {
    const seed = 2;
    const of = config(33, distance);
    const draw = drawer('clustered', new SeededRandom(seed), of);
    for (const count of [1, 8, 9, 31, 33, 64, 65, 100]) {
      const index = new KernelIndex(of, OPTIONS);
      const vectors = new Map<number, Float32Array>();
      for (let at = 0; at < count; at += 1) {
        const vector = draw();
        index.add(3 * at, vector);
        vectors.set(3 * at, vector);
        // One in seven goes again, and its slot is taken over by the next.
        if (at % 7 !== 6) continue;
        index.remove(3 * at);
        vectors.delete(3 * at);
      }
      const before = [...vectors.values()].map((vector) => exact(index, vector, 10));
      const saved = await index.save();
      const copy = await openIndex(of, OPTIONS, saved.sections);
      await saved.release();
      assert.equal(copy.count, vectors.size);
      for (const [at, [label, vector]] of [...vectors].entries()) {
        assert.equal(before[at]?.labels[0], label, `${count} points, seed ${seed}`);
        assert.deepEqual(exact(index, vector, 10), before[at]);
        assert.deepEqual(exact(copy, vector, 10), before[at]);
      }
    }
  });
}
