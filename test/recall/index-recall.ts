/** Data for recall tests of an index, and how much of the truth it finds. */
import assert from 'node:assert/strict';
import type { Bitmap } from '../../shared/base/bitmap.ts';
import type { SeededRandom } from '../../shared/base/random.ts';
import { type Distance, higherIsNearer, prepareVector } from '../../shared/domain/distance.ts';
import { KernelIndex } from '../../worker/index/kernel/kernel-index.ts';
import type { Hits, IndexConfig, VectorIndex } from '../../worker/index/vector-index.ts';

export const OPTIONS = { graphFrom: 400, seed: 3 };
export const NEVER = () => false;

export function config(dimension: number, distance: Distance = 'Cosine'): IndexConfig {
  return { dimension, distance, hnsw: { m: 16, efConstruct: 100, engine: 'kernel' } };
}

export type Draw = () => Float32Array;

/** What real data looks like in one way or another. */
export function drawer(kind: string, random: SeededRandom, of: IndexConfig): Draw {
  const { dimension, distance } = of;
  const prepared = (vector: Float32Array) => {
    prepareVector(distance, vector, 'vector');
    return vector;
  };
  const plain = () => Float32Array.from({ length: dimension }, () => random.normal());
  if (kind === 'outlier') {
    // One dimension in sixteen is thirty times larger than the others.
    return () => prepared(plain().map((x, at) => (at % 16 === 0 ? 30 * x : x)));
  }
  const centers = Array.from({ length: 12 }, plain);
  if (kind === 'copies') return () => prepared(random.pick(centers).slice());
  return () => {
    const center = random.pick(centers);
    const length = kind === 'lengths' ? 0.3 + random.next() : 1;
    const vector = center.map((x) => length * (x + 0.4 * random.normal()));
    // Far from the origin, in all components or in one.
    if (kind === 'shifted') return prepared(vector.map((x) => x + 30));
    if (kind === 'constant') vector[0] = 2_024;
    return prepared(vector);
  };
}

export function filled(of: IndexConfig, count: number, draw: Draw): KernelIndex {
  return fill(new KernelIndex(of, OPTIONS), count, draw);
}

/** Adds and links `count` points. */
export function fill<I extends VectorIndex>(index: I, count: number, draw: Draw): I {
  for (let label = 0; label < count; label += 1) index.add(label, draw());
  assert.equal(index.link(NEVER), true);
  assert.equal(index.linked, count);
  return index;
}

export function exact(index: VectorIndex, query: Float32Array, k: number, allowed?: Bitmap): Hits {
  const scan = index.startScan(query, k, allowed);
  while (!scan.step(10_000));
  return scan.hits();
}

/** What a shard does: the index's answer, or an exact scan. */
export function find(index: VectorIndex, query: Float32Array, ef = 128, allowed?: Bitmap): Hits {
  return index.search(query, 10, ef, allowed) ?? exact(index, query, 10, allowed);
}

/** Share of the true ten best that are found, by score: equals may stand for each other. */
export function recall(
  index: VectorIndex,
  queries: Float32Array[],
  ef: number,
  allowed?: Bitmap,
): number {
  let found = 0;
  let wanted = 0;
  for (const query of queries) {
    const { scores: truth } = exact(index, query, 10, allowed);
    const last = truth.at(-1) ?? 0;
    const { scores } = find(index, query, ef, allowed);
    wanted += truth.length;
    const near = (score: number) =>
      higherIsNearer(index.distance) ? score >= last : score <= last;
    found += scores.filter(near).length;
  }
  return found / wanted;
}
