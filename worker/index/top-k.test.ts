import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../../shared/base/random.ts';
import { METRICS } from './metric.ts';
import { TopK } from './top-k.ts';

test('keeps what sorting everything would put first, ties by label', () => {
  const seed = 11;
  const random = new SeededRandom(seed);
  for (let round = 0; round < 300; round += 1) {
    const offers = Array.from({ length: 1 + random.below(300) }, (_, label) => ({
      label,
      nearness: random.below(20),
    }));
    const k = 1 + random.below(120);
    const top = new TopK(k);
    const order = offers.toSorted(() => random.next() - 0.5);
    for (const { label, nearness } of order) top.offer(label, nearness);
    const sorted = offers.toSorted((a, b) => b.nearness - a.nearness || a.label - b.label);
    const best = sorted.slice(0, k);
    assert.deepEqual(
      top.hits(METRICS.Dot),
      { labels: best.map((hit) => hit.label), scores: best.map((hit) => hit.nearness) },
      `seed ${seed}, round ${round}`,
    );
  }
});

test('scores follow the conventions of Qdrant', () => {
  const rows = Float32Array.of(9, 9, 1, 2, 3, 4, 5);
  const query = Float64Array.of(2, 0, 3, 1, 7);
  const score = (name: keyof typeof METRICS) =>
    METRICS[name].scoreOf(METRICS[name].nearness(rows, 2, query));
  assert.equal(score('Dot'), 2 + 0 + 9 + 4 + 35);
  assert.equal(score('Cosine'), score('Dot'));
  assert.equal(score('Euclid'), Math.sqrt(1 + 4 + 0 + 9 + 4));
  assert.equal(score('Manhattan'), 1 + 2 + 0 + 3 + 2);
});
