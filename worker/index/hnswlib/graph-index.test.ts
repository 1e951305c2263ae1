import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, readdir, rm, stat, truncate, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Bitmap } from '../../../shared/base/bitmap.ts';
import { SeededRandom } from '../../../shared/base/random.ts';
import { type Distance, higherIsNearer, prepareVector } from '../../../shared/domain/distance.ts';
import { AppError } from '../../../shared/errors/app-error.ts';
import { createIndex } from '../create-index.ts';
import { openIndex } from '../open-index.ts';
import type { Hits, IndexConfig, VectorIndex } from '../vector-index.ts';
import { checkGraphFile } from './graph-file.ts';
import { HnswlibGraph } from './hnswlib-index.ts';

const OPTIONS = { graphFrom: 100, seed: 3 };
const NEVER = () => false;
let folder = '';

before(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'graph-index-'));
});
after(() => rm(folder, { recursive: true }));

function config(dimension: number, distance: Distance = 'Cosine'): IndexConfig {
  return { dimension, distance, hnsw: { m: 16, efConstruct: 100, engine: 'hnswlib' } };
}

interface Cloud {
  dimension: number;
  distance: Distance;
  spread: number;
  center?: Float32Array;
}

function near(random: SeededRandom, { dimension, distance, spread, center }: Cloud): Float32Array {
  const vector = Float32Array.from(
    { length: dimension },
    (_, at) => (center?.[at] ?? 0) + spread * random.normal(),
  );
  prepareVector(distance, vector, 'vector');
  return vector;
}

function exact(index: VectorIndex, query: Float32Array, k: number, allowed?: Bitmap): Hits {
  const scan = index.startScan(query, k, allowed);
  while (!scan.step(10_000));
  return scan.hits();
}

/** Share of the true `k` best that are found, by score: equals may stand for each other. */
function recall(index: VectorIndex, queries: Float32Array[], ef: number, allowed?: Bitmap): number {
  const k = 10;
  let found = 0;
  for (const query of queries) {
    const last = exact(index, query, k, allowed).scores.at(-1) ?? 0;
    const { scores } = find(index, query, k, ef, allowed);
    const nearEnough = higherIsNearer(index.distance)
      ? scores.filter((score) => score >= last)
      : scores.filter((score) => score <= last);
    found += nearEnough.length;
  }
  return found / (queries.length * k);
}

for (const distance of ['Cosine', 'Dot', 'Euclid'] as const) {
  for (const dimension of [2, 127, 256]) {
    const seed = dimension + distance.length;
    test(`recall on clusters, ${distance}, ${dimension} dimensions, seed ${seed}`, () => {
      const random = new SeededRandom(seed);
      const cloud = { dimension, distance, spread: 1 };
      const centers = Array.from({ length: 20 }, () => near(random, cloud));
      const draw = () => near(random, { ...cloud, spread: 0.3, center: random.pick(centers) });
      const index = createIndex(config(dimension, distance), OPTIONS);
      for (let label = 0; label < 1_500; label += 1) index.add(label, draw());
      assert.equal(index.link(NEVER), true);
      assert.equal(index.linked, 1_500);
      const queries = Array.from({ length: 50 }, draw);
      const measured = recall(index, queries, 128);
      const floor = distance === 'Dot' ? 0.9 : 0.97;
      assert.ok(measured >= floor, `recall ${measured}, seed ${seed}`);
      index.close();
    });
  }
}

test('duplicates only: k distinct labels with the one score', () => {
  const index = createIndex(config(8), OPTIONS);
  const vector = near(new SeededRandom(1), { dimension: 8, distance: 'Cosine', spread: 1 });
  for (let label = 0; label < 1_200; label += 1) index.add(label, vector);
  index.link(NEVER);
  const hits = find(index, vector, 50, 64);
  assert.equal(new Set(hits.labels).size, 50);
  assert.equal(new Set(hits.scores).size, 1);
  assert.equal(find(index, vector, 1_500, 64).labels.length, 1_200, 'k beyond the count');
});

test('a new vector is found at once, an old one never again, linked or not', () => {
  const seed = 21;
  const random = new SeededRandom(seed);
  const cloud = { dimension: 16, distance: 'Cosine' as const, spread: 1 };
  const index = createIndex(config(16), OPTIONS);
  const vectors = Array.from({ length: 1_000 }, () => near(random, cloud));
  for (const [label, vector] of vectors.entries()) {
    index.add(label, vector);
    if (label % 3 === 0) index.link(() => true);
    assert.equal(find(index, vector, 1, 64).labels[0], label, `seed ${seed}`);
  }
  index.link(NEVER);
  const replacement = near(random, cloud);
  index.add(7, replacement);
  assert.equal(find(index, replacement, 1, 64).labels[0], 7);
  const old = vectors[7] as Float32Array;
  const again = find(index, old, 5, 64);
  assert.ok((again.scores[again.labels.indexOf(7)] ?? 0) < 0.999);
  index.remove(8);
  index.remove(8);
  assert.ok(!find(index, vectors[8] as Float32Array, 5, 64).labels.includes(8));
  index.link(NEVER);
  assert.ok(!find(index, vectors[8] as Float32Array, 5, 64).labels.includes(8));
});

test('replacing again and again takes no new slots', () => {
  const seed = 31;
  const random = new SeededRandom(seed);
  const cloud = { dimension: 8, distance: 'Euclid' as const, spread: 1 };
  const graph = HnswlibGraph.create({ ...cloud, m: 8, efConstruct: 40, seed });
  for (let label = 0; label < 1_000; label += 1) graph.add(label, near(random, cloud));
  const { slots, capacity } = graph;
  for (let i = 0; i < 5_000; i += 1) {
    const label = random.below(1_000);
    graph.remove(label);
    graph.add(label, near(random, cloud));
  }
  assert.equal(graph.slots, slots);
  assert.equal(graph.capacity, capacity);
  assert.equal(graph.churn, 5_000);
  graph.dispose();
});

test('a graph worn by replacement is built anew, and serves meanwhile', () => {
  const seed = 41;
  const random = new SeededRandom(seed);
  const cloud = { dimension: 16, distance: 'Cosine' as const, spread: 1 };
  const index = createIndex(config(16), OPTIONS);
  for (let label = 0; label < 1_200; label += 1) index.add(label, near(random, cloud));
  index.link(NEVER);
  for (let i = 0; i < 6_000; i += 1) {
    const label = random.below(1_200);
    const vector = near(random, cloud);
    index.add(label, vector);
    if (i % 2 === 0) index.link(() => true);
    if (i % 50 === 0) assert.equal(find(index, vector, 1, 64).labels[0], label, `seed ${seed}`);
  }
  assert.equal(index.link(NEVER), true);
  assert.equal(index.linked, 1_200);
  const queries = Array.from({ length: 50 }, () => near(random, cloud));
  const measured = recall(index, queries, 128);
  assert.ok(measured >= 0.97, `recall ${measured}, seed ${seed}`);
});

test('points next to a deleted cluster of duplicates can be added and found', () => {
  // Duplicates link among themselves only; once deleted, a plain insert that lands there would
  // find no live neighbour (see the header of hnswlib-index.ts).
  const seed = 51;
  const random = new SeededRandom(seed);
  const cloud = { dimension: 16, distance: 'Euclid' as const, spread: 1 };
  const index = createIndex(config(16, 'Euclid'), OPTIONS);
  const center = new Float32Array(16).fill(20);
  for (let label = 0; label < 600; label += 1) index.add(label, near(random, cloud));
  for (let label = 600; label < 1_400; label += 1) index.add(label, center);
  index.link(NEVER);
  for (let label = 600; label < 1_400; label += 1) index.remove(label);
  for (let label = 600; label < 1_700; label += 1) {
    const vector = near(random, { ...cloud, spread: 0.5, center });
    index.add(label, vector);
    index.link(() => true);
    assert.equal(find(index, vector, 1, 64).labels[0], label, `seed ${seed}`);
  }
  index.link(NEVER);
  const queries = Array.from({ length: 50 }, () => near(random, { ...cloud, center }));
  const measured = recall(index, queries, 128);
  assert.ok(measured >= 0.97, `recall ${measured}, seed ${seed}`);
});

test('filters from nearly all to nearly nothing are answered within recall', () => {
  const seed = 61;
  const random = new SeededRandom(seed);
  const cloud = { dimension: 32, distance: 'Cosine' as const, spread: 1 };
  const index = createIndex(config(32), OPTIONS);
  for (let label = 0; label < 3_000; label += 1) index.add(label, near(random, cloud));
  index.link(NEVER);
  const queries = Array.from({ length: 20 }, () => near(random, cloud));
  for (const share of [0.9, 0.5, 0.1, 0.004, 0]) {
    const allowed = new Bitmap();
    for (let label = 0; label < 3_000; label += 1) if (random.next() < share) allowed.add(label);
    const k = Math.min(10, allowed.count());
    for (const query of queries) {
      const { labels } = find(index, query, 10, 128, allowed);
      assert.equal(labels.length, k);
      assert.ok(labels.every((label) => allowed.has(label)));
    }
    if (k < 10) continue;
    const measured = recall(index, queries, 128, allowed);
    assert.ok(measured >= 0.95, `share ${share}: recall ${measured}, seed ${seed}`);
  }
});

test('saving goes on beside searches, adds and removes; the saved state opens', async () => {
  const seed = 71;
  const random = new SeededRandom(seed);
  const cloud = { dimension: 32, distance: 'Cosine' as const, spread: 1 };
  const index = createIndex(config(32), OPTIONS);
  const vectors = Array.from({ length: 2_000 }, () => near(random, cloud));
  for (const [label, vector] of vectors.entries()) index.add(label, vector);
  index.link(NEVER);
  const saving = index.save(path.join(folder, 'scratch'));
  for (let label = 0; label < 400; label += 1) index.remove(label);
  for (let label = 400; label < 500; label += 1) index.add(label, near(random, cloud));
  assert.equal(index.link(NEVER), true, 'linking waits for the save');
  const gone = find(index, vectors[3] as Float32Array, 10, 128).labels;
  assert.ok(gone.every((label) => label >= 400));
  const saved = await saving;
  assert.equal((await stat(path.join(folder, 'scratch'))).mode & 0o777, 0o600);
  const copy = await openIndex(config(32), OPTIONS, saved.sections);
  await saved.release();
  assert.deepEqual(await readdir(folder), []);
  assert.equal(copy.link(NEVER), true);
  for (const label of [500, 1_000, 1_999]) {
    assert.equal(find(copy, vectors[label] as Float32Array, 1, 64).labels[0], label);
  }
  assert.equal(index.linkPending, true);
  assert.equal(index.link(NEVER), true);
  assert.equal(index.count, 1_600);
  assert.equal(index.linked, 1_600);
  index.close();
  copy.close();
});

test('a save that fails leaves the index as it was', async () => {
  const random = new SeededRandom(75);
  const cloud = { dimension: 8, distance: 'Cosine' as const, spread: 1 };
  const index = createIndex(config(8), OPTIONS);
  for (let label = 0; label < 300; label += 1) index.add(label, near(random, cloud));
  index.link(NEVER);
  await assert.rejects(index.save(path.join(folder, 'missing', 'scratch')), { code: 'ENOENT' });
  index.add(300, near(random, cloud));
  assert.equal(index.link(NEVER), true);
  assert.equal(index.linked, 301);
});

test('an image built with other graph settings keeps its vectors and links again', async () => {
  const random = new SeededRandom(81);
  const cloud = { dimension: 8, distance: 'Cosine' as const, spread: 1 };
  const index = createIndex(config(8), OPTIONS);
  for (let label = 0; label < 500; label += 1) index.add(label, near(random, cloud));
  index.link(NEVER);
  const saved = await index.save(path.join(folder, 'scratch'));
  const other = { ...config(8), hnsw: { m: 24, efConstruct: 100, engine: 'hnswlib' as const } };
  const copy = await openIndex(other, OPTIONS, saved.sections);
  assert.equal(copy.count, 500);
  assert.equal(copy.linked, 0);
  assert.equal(copy.linkPending, true);
  await assert.rejects(openIndex(config(9), OPTIONS, saved.sections), AppError);
  await saved.release();
});

test('a graph file that was cut short is noticed, and native errors get a code', async () => {
  const random = new SeededRandom(91);
  const cloud = { dimension: 8, distance: 'Cosine' as const, spread: 1 };
  const settings = { dimension: 8, distance: 'Cosine' as const, m: 8, efConstruct: 40, seed: 1 };
  const graph = HnswlibGraph.create(settings);
  for (let label = 0; label < 300; label += 1) graph.add(label, near(random, cloud));
  const file = path.join(folder, 'graph');
  await graph.save(file);
  graph.endSave();
  await checkGraphFile(file, 300);
  await assert.rejects(checkGraphFile(file, 299), { code: 'insufficient_storage' });
  const { size } = await stat(file);
  await truncate(file, size - 1);
  await assert.rejects(checkGraphFile(file, 300), { code: 'insufficient_storage' });
  const labels = { fromGraph: graph.labelsSnapshot(), churn: 0 };
  await assert.rejects(HnswlibGraph.read(settings, file, labels), { code: 'internal' });
  await writeFile(file, 'nonsense');
  await assert.rejects(HnswlibGraph.read(settings, file, labels), { code: 'internal' });
  await assert.rejects(HnswlibGraph.read(settings, '/nowhere/x', labels), { code: 'internal' });
  await assert.rejects(graph.save('/nowhere/x'), { code: 'ENOENT' });
  graph.endSave();
  await rm(file);
});

test('a collection that shrinks goes back to exact scans', () => {
  const random = new SeededRandom(95);
  const cloud = { dimension: 8, distance: 'Cosine' as const, spread: 1 };
  const index = createIndex(config(8), OPTIONS);
  for (let label = 0; label < 99; label += 1) index.add(label, near(random, cloud));
  assert.equal(index.linkPending, false);
  index.add(99, near(random, cloud));
  assert.equal(index.linkPending, true);
  index.link(NEVER);
  assert.equal(index.hasGraph, true);
  const withGraph = index.memoryBytes;
  for (let label = 0; label < 51; label += 1) index.remove(label);
  assert.equal(index.hasGraph, false);
  assert.equal(index.linked, 49);
  assert.ok(index.memoryBytes < withGraph / 10);
});

const DATASET = new URL('../../../../shared/datasets/debian-packages/vectors.f16', import.meta.url);

test('real embeddings: recall of the first 4,000', (t) => {
  if (!existsSync(DATASET)) return t.skip('the data set debian-packages is not here');
  const count = 4_000;
  const bytes = readFileSync(DATASET).subarray(0, (count + 100) * 512);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const rows = Float32Array.from({ length: bytes.length / 2 }, (_, i) =>
    view.getFloat16(2 * i, true),
  );
  const row = (at: number) => rows.slice(at * 256, at * 256 + 256);
  const index = createIndex(config(256), OPTIONS);
  for (let label = 0; label < count; label += 1) index.add(label, row(label));
  index.link(NEVER);
  const queries = Array.from({ length: 100 }, (_, i) => row(count + i));
  const measured = recall(index, queries, 128);
  assert.ok(measured >= 0.97, `recall ${measured}`);
});

/** What a shard does: the graph's answer, or an exact scan. */
function find(index: VectorIndex, query: Float32Array, k: number, ef: number, allowed?: Bitmap) {
  const hits = index.search(query, k, ef, allowed);
  if (hits !== undefined) return hits;
  const scan = index.startScan(query, k, allowed);
  while (!scan.step(1_000));
  return scan.hits();
}
