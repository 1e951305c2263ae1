/**
 * The searching and the building thread on one memory. What a search may never do while lists are
 * changed under it: name a point that is not there, name one twice, give a score that is not that
 * of the point's vector now, or miss the point that was just added.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { ManualClock, systemClock } from '../../../shared/base/clock.ts';
import { SeededRandom } from '../../../shared/base/random.ts';
import { type Distance, prepareVector } from '../../../shared/domain/distance.ts';
import { scoreOf } from '../metric.ts';
import type { IndexConfig } from '../vector-index.ts';
import { BuilderThread } from './builder.ts';
import { KernelIndex } from './kernel-index.ts';
import { KernelMemory } from './memory.ts';

const GRAPH_FROM = 300;
const LABELS = 3_000;
const K = 10;

function startIndex(t: TestContext, config: IndexConfig): KernelIndex {
  const builder = new BuilderThread({ clock: systemClock });
  t.after(() => builder.close());
  return new KernelIndex(config, { graphFrom: GRAPH_FROM, seed: 5, builder });
}

async function linkAll(index: KernelIndex): Promise<void> {
  while (index.linkPending) await index.linkAside?.();
}

interface World {
  index: KernelIndex;
  vectors: Map<number, Float32Array>;
  random: SeededRandom;
  draw(): Float32Array;
}

function change({ index, vectors, random, draw }: World): void {
  const label = random.below(LABELS);
  if (vectors.has(label) && random.next() < 0.4) {
    index.remove(label);
    vectors.delete(label);
    return;
  }
  const vector = draw();
  index.add(label, vector);
  vectors.set(label, vector);
  const [first] = index.search(vector, K, 32)?.labels ?? [];
  const near = first === undefined ? undefined : vectors.get(first);
  assert.deepEqual(near, vector, 'what was just added is the nearest to itself');
}

function look({ index, vectors, draw }: World): boolean {
  const query = draw();
  const hits = index.search(query, K, 64);
  if (hits === undefined) return false;
  assert.equal(new Set(hits.labels).size, hits.labels.length, 'no point comes twice');
  for (const [at, label] of hits.labels.entries()) {
    const vector = vectors.get(label);
    assert.ok(vector !== undefined, `point ${label} was removed`);
    assert.equal(hits.scores[at], scoreOf(index.distance, vector, query), `score of ${label}`);
  }
  return true;
}

for (const [dimension, distance] of [
  [48, 'Cosine'],
  [48, 'Dot'],
  [48, 'Euclid'],
  [7, 'Euclid'],
] as [number, Distance][]) {
  test(`searches while lists change under them, ${distance}, ${dimension} dimensions`, async (t) => {
    const seed = 100 + dimension;
    t.diagnostic(`seed ${seed}`);
    const random = new SeededRandom(seed);
    const draw = () => {
      const vector = Float32Array.from({ length: dimension }, () => random.normal());
      prepareVector(distance, vector, 'vector');
      return vector;
    };
    const hnsw = { m: 8, efConstruct: 40, engine: 'kernel' as const };
    const index = startIndex(t, { dimension, distance, hnsw });
    const world = { index, vectors: new Map<number, Float32Array>(), random, draw };
    let walked = 0;
    let jobs = 0;
    let linking: Promise<void> | undefined;
    for (let step = 0; step < 400; step += 1) {
      for (let i = 0; i < 30; i += 1) change(world);
      linking ??= index.linkAside?.().then(() => {
        jobs += 1;
        linking = undefined;
      });
      for (let i = 0; i < 20; i += 1) if (look(world)) walked += 1;
      await nextTurn();
    }
    await linking;
    assert.ok(index.hasGraph && jobs > 50, `${jobs} jobs`);
    assert.ok(walked > 1_000, `${walked} searches answered by the index`);
    await linkAll(index);
    assert.equal(index.count, world.vectors.size);
    assert.equal(index.linked, index.count);
    for (let i = 0; i < 200; i += 1) look(world);
  });
}

test('codes are made anew when later points lie elsewhere', async (t) => {
  const seed = 31;
  t.diagnostic(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const normal = () => Float32Array.from({ length: 48 }, () => random.normal());
  const centers = Array.from({ length: 40 }, normal);
  let axis = 0;
  const draw = () => {
    const vector = random.pick(centers).map((x) => x + 0.4 * random.normal());
    return vector.fill(1_000, axis, axis + 1);
  };
  const hnsw = { m: 8, efConstruct: 60, engine: 'kernel' as const };
  const index = startIndex(t, { dimension: 48, distance: 'Euclid', hnsw });
  const vectors = new Map<number, Float32Array>();
  const world = { index, vectors, random, draw };
  const add = (label: number) => {
    const vector = draw();
    index.add(label, vector);
    vectors.set(label, vector);
  };
  for (let label = LABELS; label < LABELS + 200; label += 1) add(label);
  axis = 5;
  for (let label = LABELS + 200; label < 3 * LABELS; label += 1) {
    add(label);
    if (label % 50 === 0) await index.linkAside?.();
    // Some change while all are copied.
    if (label % 10 === 0) change(world);
    if (label % 25 === 0) look(world);
  }
  await linkAll(index);
  let found = 0;
  for (let i = 0; i < 100; i += 1) {
    const query = draw();
    const scan = index.startScan(query, K);
    while (!scan.step(100_000));
    const right = new Set(scan.hits().labels);
    const { labels } = index.search(query, K, 128) ?? { labels: [] };
    found += labels.filter((label) => right.has(label)).length;
  }
  assert.ok(found >= 0.95 * 100 * K, `${found} of ${100 * K}`);
});

test('a graph that was linked aside is saved and opened like any other', async (t) => {
  const random = new SeededRandom(9);
  const draw = () => Float32Array.from({ length: 40 }, () => random.normal());
  const config = { dimension: 40, distance: 'Euclid' as const, hnsw: { m: 8, efConstruct: 60 } };
  const index = startIndex(t, config);
  for (let label = 0; label < 2_000; label += 1) index.add(label, draw());
  const linking = index.linkAside?.();
  // A save waits for the job, and new ones wait for the save.
  const saved = await index.save();
  await linking;
  const { linked } = index;
  await index.linkAside?.();
  assert.equal(index.linked, linked);
  const copy = KernelIndex.open(config, { graphFrom: GRAPH_FROM, seed: 1 }, saved.sections);
  await saved.release();
  assert.equal(copy?.count, 2_000);
  assert.equal(copy?.linked, linked);
  await linkAll(index);
  const query = draw();
  const scan = copy?.startScan(query, K);
  while (scan?.step(500) === false);
  assert.deepEqual(index.search(query, K, 512)?.labels, scan?.hits().labels);
});

test('a purge takes out the point that the building thread has just then', async (t) => {
  const random = new SeededRandom(13);
  const draw = () => Float32Array.from({ length: 40 }, () => random.normal());
  const config = { dimension: 40, distance: 'Euclid' as const, hnsw: { m: 8, efConstruct: 60 } };
  const index = startIndex(t, config);
  for (let label = 0; label < 400; label += 1) index.add(label, draw());
  await linkAll(index);
  index.add(1_000, draw());
  const job = index.linkAside?.();
  index.remove(1_000);
  index.purge();
  await job;
  await linkAll(index);
  index.purge();
  assert.equal(index.linkPending, false, 'nothing was left for a second purge');
});

test('a job that traps is told to its caller, and the next one is done', async (t) => {
  const builder = new BuilderThread({ clock: systemClock });
  t.after(() => builder.close());
  const layout = { dimension: 40, distance: 'Cosine', m: 8, efConstruct: 60, seed: 1 } as const;
  const memory = KernelMemory.create({
    ...layout,
    shape: 'codes',
    rotated: false,
    factor: 1,
    centre: undefined,
    raw: true,
  });
  memory.reserve(0);
  memory.put(0, 7, new Float32Array(40).fill(1));
  const beyond = { kind: 'link' as const, slots: Uint32Array.of(2 ** 20) };
  await assert.rejects(builder.run(memory.shared, beyond), /out of bounds/);
  assert.ok((await builder.run(memory.shared, { ...beyond, slots: Uint32Array.of(0) })) >= 0);
  assert.equal(memory.entry, 0);
});

test('a thread without work is ended, and the next job has another', async (t) => {
  const clock = new ManualClock();
  const builder = new BuilderThread({ clock }, { idleMs: 1_000 });
  t.after(() => builder.close());
  const config = { dimension: 40, distance: 'Euclid' as const, hnsw: { m: 8, efConstruct: 60 } };
  const index = new KernelIndex(config, { graphFrom: GRAPH_FROM, seed: 5, builder });
  const random = new SeededRandom(11);
  const add = (label: number) => {
    index.add(
      label,
      Float32Array.from({ length: 40 }, () => random.normal()),
    );
  };
  for (let label = 0; label < 400; label += 1) add(label);
  await linkAll(index);
  clock.advance(999);
  assert.ok(builder.running);
  clock.advance(1);
  assert.ok(!builder.running);
  for (let label = 300; label < 600; label += 1) add(label);
  const linking = index.linkAside?.();
  clock.advance(1_000);
  assert.ok(builder.running, 'it is not ended in the middle of a job');
  await linking;
  await linkAll(index);
  assert.equal(index.linked, 600);
});

test('a thread that ends in a job tells its caller', async () => {
  const builder = new BuilderThread({ clock: systemClock });
  const config = { dimension: 40, distance: 'Cosine' as const, hnsw: { m: 8, efConstruct: 60 } };
  const index = new KernelIndex(config, { graphFrom: GRAPH_FROM, seed: 5, builder });
  const vector = new Float32Array(40).fill(1);
  for (let label = 0; label < 2_000; label += 1) index.add(label, vector);
  const lost = assert.rejects(async () => index.linkAside?.(), { name: 'BrokenGraph' });
  await builder.close();
  await lost;
});
