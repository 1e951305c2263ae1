/**
 * What the kernel finds, against an exact scan, for every metric, many dimensions and several kinds
 * of data; and hnswlib as a second opinion on what a graph can find in such data.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../../../shared/base/random.ts';
import { DISTANCES } from '../../../shared/domain/distance.ts';
import { IS_LONG } from '../../../test/harness/profile.ts';
import {
  config,
  drawer,
  exact,
  fill,
  filled,
  OPTIONS,
  recall,
} from '../../../test/recall/index-recall.ts';
import { createIndex } from '../create-index.ts';
import { walkCost } from './kernel-index.ts';

/** Dimensions and points. */
const OFTEN = [
  [1, 1_500],
  [3, 1_500],
  [129, 1_500],
  [768, 1_200],
  [4_096, 600],
] as const;
const MATRIX = IS_LONG
  ? ([...OFTEN, [2, 1_500], [127, 1_500], [128, 1_500], [1_536, 800], [8_192, 450]] as const)
  : OFTEN;

/** The largest `ef` up to 40 at which the graph answers and not a scan. */
function walkEf(dimension: number, count: number): number {
  return Math.min(40, Math.floor((count - 1) / walkCost(dimension)));
}

/**
 * At the `ef` of `walkEf`. Outlier data of many dimensions has hardly any structure that a graph
 * could follow. Of copies that are more than a
 * list has links, some sets may be cut off from the rest of the graph, and then no ef finds them.
 */
function floorOf(kind: string, dimension: number): number {
  if (kind === 'copies') return 0.75;
  if (kind === 'outlier' && dimension >= 768) return 0.6;
  return 0.93;
}

for (const distance of DISTANCES) {
  for (const kind of ['clustered', 'outlier', 'copies']) {
    test(`recall of ${kind} data of few and many dimensions, ${distance}`, () => {
      for (const [dimension, count] of MATRIX) {
        const seed = dimension + distance.length;
        const random = new SeededRandom(seed);
        const draw = drawer(kind, random, config(dimension, distance));
        const index = filled(config(dimension, distance), count, draw);
        const queries = Array.from({ length: 20 }, draw);
        const measured = recall(index, queries, walkEf(dimension, count));
        const floor = floorOf(kind, dimension);
        assert.ok(measured >= floor, `${dimension} dimensions: ${measured}, seed ${seed}`);
        assert.ok(recall(index, queries, 400) >= 0.99, `${dimension} dimensions by a scan`);
      }
    });
  }

  test(`duplicates only: distinct labels with the one score, ${distance}`, () => {
    for (const [dimension, count] of MATRIX) {
      const random = new SeededRandom(dimension);
      const vector = drawer('clustered', random, config(dimension, distance))();
      const index = filled(config(dimension, distance), count, () => vector);
      const hits = index.search(vector, 10, 16) ?? exact(index, vector, 10);
      assert.equal(new Set(hits.labels).size, 10);
      assert.deepEqual(new Set(hits.scores), new Set(exact(index, vector, 1).scores));
    }
  });
}

/** Kinds of data; a long run has all. */
const SECOND_KINDS = IS_LONG
  ? ['clustered', 'lengths', 'outlier', 'shifted', 'constant']
  : ['clustered', 'outlier'];
const SECOND_OPINIONS = [
  [2, 1_700],
  [16, 2_000],
  [128, 1_700],
  [768, 1_700],
] as const;

const EF = 20;

for (const distance of ['Cosine', 'Dot', 'Euclid'] as const) {
  for (const kind of SECOND_KINDS) {
    test(`as good as hnswlib with as many candidates: ${kind} data, ${distance}`, () => {
      for (const [dimension, count] of SECOND_OPINIONS) {
        const seed = 7 * dimension + distance.length;
        const random = new SeededRandom(seed);
        const draw = drawer(kind, random, config(dimension, distance));
        assert.ok(walkEf(dimension, count) >= EF, 'the graph answers');
        const vectors = Array.from({ length: count }, draw);
        const queries = Array.from({ length: 100 }, draw);
        const [ours, theirs] = (['kernel', 'hnswlib'] as const).map((engine) => {
          const of = config(dimension, distance);
          const rows = vectors.values();
          const next = () => rows.next().value ?? assert.fail('a vector a point');
          const index = createIndex({ ...of, hnsw: { ...of.hnsw, engine } }, OPTIONS);
          return recall(fill(index, count, next), queries, EF);
        });
        assert.ok(
          (ours ?? 0) >= (theirs ?? 1) - 0.01,
          `${dimension} dimensions: ${ours}, hnswlib ${theirs}, seed ${seed}`,
        );
      }
    });
  }
}

test('inner products around a large part that all have in common, in a graph and by a scan', () => {
  const of = config(128, 'Dot');
  for (const constant of [1e4, 1e5, 1e6]) {
    const random = new SeededRandom(9);
    const plain = drawer('clustered', random, of);
    const draw = () => plain().fill(constant, 0, 1);
    const vectors = Array.from({ length: 1_700 }, draw);
    const queries = Array.from({ length: 60 }, draw);
    for (const graphFrom of [400, 10_000]) {
      const index = createIndex(of, { ...OPTIONS, graphFrom });
      for (const [label, vector] of vectors.entries()) index.add(label, vector);
      while (!index.link(() => false));
      const measured = recall(index, queries, walkEf(128, vectors.length));
      assert.ok(measured >= 0.95, `${constant}, graph from ${graphFrom}: ${measured}`);
    }
  }
});
