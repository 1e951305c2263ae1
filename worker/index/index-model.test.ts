/** Random operations on every kind of index against a Map and a full sort. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { test } from 'node:test';
import { Bitmap } from '../../shared/base/bitmap.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import { ENGINES } from '../../shared/domain/collection.ts';
import {
  DISTANCES,
  type Distance,
  higherIsNearer,
  prepareVector,
} from '../../shared/domain/distance.ts';
import { createIndex } from './create-index.ts';
import { METRICS } from './metric.ts';
import { openIndex } from './open-index.ts';
import type { Hits, IndexConfig, IndexOptions, VectorIndex, VectorsOf } from './vector-index.ts';

const K = 10;
const LABELS = 600;
const OPTIONS = { graphFrom: 100, seed: 5 };

class Model {
  readonly vectors = new Map<number, Float32Array>();
  readonly distance: Distance;

  constructor(distance: Distance) {
    this.distance = distance;
  }

  search(query: Float32Array, k: number, allowed?: Bitmap): Hits {
    const metric = METRICS[this.distance];
    const exact = Float64Array.from(query);
    const all = [...this.vectors]
      .filter(([label]) => allowed === undefined || allowed.has(label))
      .map(([label, vector]) => ({ label, nearness: metric.nearness(vector, 0, exact) }))
      .toSorted((a, b) => b.nearness - a.nearness || a.label - b.label)
      .slice(0, k);
    return {
      labels: all.map((hit) => hit.label),
      scores: all.map((hit) => metric.scoreOf(hit.nearness)),
    };
  }
}

function vectorOf(random: SeededRandom, dimension: number, distance: Distance): Float32Array {
  const vector = Float32Array.from({ length: dimension }, () => random.normal());
  prepareVector(distance, vector, 'vector');
  return vector;
}

/** By score, because points with equal scores may stand for each other. */
function isNearerOrEqual(model: Model, score: number, last: number): boolean {
  return higherIsNearer(model.distance) ? score >= last : score <= last;
}

function scan(index: VectorIndex, query: Float32Array, k: number, allowed?: Bitmap): Hits {
  const slices = index.startScan(query, k, allowed);
  while (!slices.step(37));
  return slices.hits();
}

/** Scores of an approximate answer must be real, allowed, in order, and as many as there are. */
function assertSound(hits: Hits, model: Model, query: Float32Array, allowed?: Bitmap): number {
  const truth = model.search(query, Infinity, allowed);
  const scoreOf = new Map(truth.labels.map((label, at) => [label, truth.scores[at]]));
  assert.equal(hits.labels.length, Math.min(K, truth.labels.length));
  assert.equal(new Set(hits.labels).size, hits.labels.length, 'no label twice');
  for (const [at, label] of hits.labels.entries()) {
    assert.equal(hits.scores[at], scoreOf.get(label), `label ${label} has its exact score`);
  }
  const rank = new Map(truth.labels.map((label, at) => [label, at]));
  const ranks = hits.labels.map((label) => rank.get(label) ?? -1);
  assert.deepEqual(
    ranks,
    ranks.toSorted((a, b) => a - b),
    'nearest first',
  );
  const last = truth.scores[hits.labels.length - 1] ?? 0;
  return hits.scores.filter((score) => isNearerOrEqual(model, score, last)).length;
}

async function reopened(index: VectorIndex, config: IndexConfig, options: IndexOptions) {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'index-model-'));
  try {
    const saved = await index.save(path.join(folder, 'graph'));
    try {
      return await openIndex(config, options, saved.sections);
    } finally {
      await saved.release();
    }
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The kernel has codes from 32 dimensions on, and can leave the floats to the rows then. */
const KINDS = [
  ...ENGINES.flatMap((engine) =>
    [1, 3, 16].map((dimension) => ({ engine, dimension, onDisk: false })),
  ),
  { engine: 'kernel' as const, dimension: 40, onDisk: false },
  { engine: 'kernel' as const, dimension: 40, onDisk: true },
];
const CASES = KINDS.flatMap((kind) => DISTANCES.map((distance) => ({ ...kind, distance })));

for (const { engine, distance, dimension, onDisk } of CASES) {
  const seed = 100 * dimension + distance.length;
  const where = onDisk ? ', on disk' : '';
  test(`${engine}${where}, ${distance}, ${dimension} dimensions, seed ${seed}`, async () => {
    const random = new SeededRandom(seed);
    const config = { dimension, distance, onDisk, hnsw: { m: 8, efConstruct: 40, engine } };
    const model = new Model(distance);
    const vectorsOf: VectorsOf = (labels) => {
      return Array.from(labels, (label) => model.vectors.get(label));
    };
    const options = { ...OPTIONS, vectorsOf };
    let index = createIndex(config, options);
    let found = 0;
    let wanted = 0;
    for (let step = 0; step < 2_000; step += 1) {
      const label = random.below(LABELS);
      const dice = random.next();
      // Waves: mostly adding, then mostly removing, so that the graph comes and goes.
      const addShare = Math.floor(step / 500) % 2 === 0 ? 0.75 : 0.15;
      if (dice < addShare) {
        const vector = vectorOf(random, dimension, distance);
        index.add(label, vector);
        model.vectors.set(label, vector);
      } else if (dice < 0.9) {
        index.remove(label);
        model.vectors.delete(label);
      } else {
        if (random.next() < 0.3) index.purge();
        index.link(() => random.next() < 0.02);
      }
      if (step % 400 === 399) index = await reopened(index, config, options);
      if (step % 12 !== 0) continue;
      assert.equal(index.count, model.vectors.size);
      assert.equal(index.has(label), model.vectors.has(label));
      const query = vectorOf(random, dimension, distance);
      const allowed = random.next() < 0.5 ? undefined : new Bitmap();
      if (allowed !== undefined) {
        for (let i = 0; i < LABELS; i += 1) if (random.next() < 0.5) allowed.add(i);
      }
      assert.deepEqual(scan(index, query, K, allowed), model.search(query, K, allowed));
      found += assertSound(find(index, query, K, 12, allowed), model, query, allowed);
      wanted += Math.min(K, model.search(query, K, allowed).labels.length);
    }
    index.close();
    // Inner products of unequal lengths are no metric: the graph answers them less well.
    const floor = distance === 'Dot' ? 0.75 : 0.94;
    assert.ok(found / wanted >= floor, `recall ${found / wanted}, seed ${seed}`);
  });
}

/** What a shard does: the graph's answer, or an exact scan. */
function find(index: VectorIndex, query: Float32Array, k: number, ef: number, allowed?: Bitmap) {
  const hits = index.search(query, k, ef, allowed);
  if (hits !== undefined) return hits;
  const scan = index.startScan(query, k, allowed);
  while (!scan.step(1_000));
  return scan.hits();
}
