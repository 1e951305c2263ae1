/**
 * What the kernel finds, against an exact scan, for every metric, many dimensions and several kinds
 * of data; and hnswlib as a second opinion on what a graph can find in such data.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../../shared/base/random.ts';
import { DISTANCES, type Distance } from '../../shared/domain/distance.ts';
import {
  config,
  drawer,
  exact,
  fill,
  filled,
  OPTIONS,
  recall,
} from '../../test/recall/index-recall.ts';
import { createIndex } from './create-index.ts';

const MATRIX = [
  [1, 1_500],
  [2, 1_500],
  [3, 1_500],
  [127, 1_500],
  [128, 1_500],
  [129, 1_500],
  [768, 900],
  [1_536, 600],
  [4_096, 450],
  [8_192, 420],
] as const;

/**
 * At a small ef. Inner products of unequal lengths are no metric. Of copies that are more than a
 * list has links, some sets may be cut off from the rest of the graph, and then no ef finds them.
 */
function floorOf(kind: string, distance: Distance): number {
  if (kind === 'copies') return distance === 'Dot' ? 0.7 : 0.85;
  return distance === 'Dot' ? 0.85 : 0.93;
}

for (const distance of DISTANCES) {
  for (const kind of ['clustered', 'outlier', 'copies']) {
    test(`recall of ${kind} data from 1 to 8,192 dimensions, ${distance}`, () => {
      for (const [dimension, count] of MATRIX) {
        const seed = dimension + distance.length;
        const random = new SeededRandom(seed);
        const draw = drawer(kind, random, config(dimension, distance));
        const index = filled(config(dimension, distance), count, draw);
        const queries = Array.from({ length: 20 }, draw);
        // A small ef, so that the graph answers and not a scan.
        const measured = recall(index, queries, 40);
        const floor = floorOf(kind, distance);
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

const SECOND_OPINIONS = [
  [2, 1_500],
  [16, 2_000],
  [128, 1_500],
  [768, 900],
] as const;

/** Candidates of hnswlib and of the kernel, whose graph answers inner products less well. */
const EFS = { Cosine: [20, 20], Euclid: [20, 20], Dot: [20, 40] } as const;

for (const distance of ['Cosine', 'Dot', 'Euclid'] as const) {
  for (const kind of ['clustered', 'outlier']) {
    const [theirEf, ourEf] = EFS[distance];
    test(`ef ${ourEf} finds what ef ${theirEf} of hnswlib does: ${kind} data, ${distance}`, () => {
      for (const [dimension, count] of SECOND_OPINIONS) {
        const seed = 7 * dimension + distance.length;
        const random = new SeededRandom(seed);
        const draw = drawer(kind, random, config(dimension, distance));
        const vectors = Array.from({ length: count }, draw);
        const queries = Array.from({ length: 100 }, draw);
        const [ours, theirs] = (['kernel', 'hnswlib'] as const).map((engine) => {
          const of = config(dimension, distance);
          const rows = vectors.values();
          const next = () => rows.next().value ?? assert.fail('a vector a point');
          const index = createIndex({ ...of, hnsw: { ...of.hnsw, engine } }, OPTIONS);
          const ef = engine === 'kernel' ? ourEf : theirEf;
          return recall(fill(index, count, next), queries, ef);
        });
        assert.ok(
          (ours ?? 0) >= (theirs ?? 1) - 0.01,
          `${dimension} dimensions: ${ours}, hnswlib ${theirs}, seed ${seed}`,
        );
      }
    });
  }
}
