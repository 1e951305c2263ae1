import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bitmap } from '../../../shared/base/bitmap.ts';
import { SeededRandom } from '../../../shared/base/random.ts';
import { AppError } from '../../../shared/errors/app-error.ts';
import {
  config,
  drawer,
  exact,
  filled,
  find,
  NEVER,
  OPTIONS,
  recall,
} from '../../../test/recall/index-recall.ts';
import { scoreOf } from '../metric.ts';
import { openIndex } from '../open-index.ts';
import type { IndexConfig, VectorsOf } from '../vector-index.ts';
import { KernelIndex } from './kernel-index.ts';
import { EF_MAX, HEADER_BYTES, NONE } from './layout.ts';
import { KernelMemory } from './memory.ts';

test('half of the points replaced in five rounds: slots are taken over, recall stays', () => {
  const seed = 17;
  const random = new SeededRandom(seed);
  const draw = drawer('clustered', random, config(32));
  const index = filled(config(32), 4_000, draw);
  const queries = Array.from({ length: 100 }, draw);
  const before = recall(index, queries, 64);
  for (let round = 0; round < 5; round += 1) {
    for (let i = 0; i < 400; i += 1) index.add(random.below(4_000), draw());
    index.link(NEVER);
  }
  const bytes = index.memoryBytes;
  const after = recall(index, queries, 64);
  assert.ok(after >= before - 0.01, `recall ${before} then ${after}, seed ${seed}`);
  assert.ok(bytes < 1.35 * filled(config(32), 4_000, draw).memoryBytes, `${bytes} bytes`);
});

test('products that are no numbers end a search and linking, too', () => {
  for (const distance of ['Cosine', 'Dot', 'Euclid'] as const) {
    for (const dimension of [8, 64, 128]) {
      for (const size of [1e-38, 1e19, 3e37, 1e38]) {
        const random = new SeededRandom(18);
        const of = config(dimension, distance);
        const draw = () => Float32Array.from({ length: dimension }, () => size * random.normal());
        const index = filled(of, 500, draw);
        const hits = index.search(draw(), 10, 64) ?? { labels: [] };
        assert.ok(new Set(hits.labels).size === hits.labels.length, `${distance} ${size}`);
        const plain = filled(of, 500, () => draw().map((x) => x / size));
        plain.search(draw(), 10, 64);
      }
    }
  }
});

test('vectors of any size are told apart', () => {
  for (const distance of ['Dot', 'Euclid'] as const) {
    for (const size of [1e-36, 1e-25, 1e-10, 1e10, 1e17]) {
      const random = new SeededRandom(19);
      const of = config(64, distance);
      const clustered = drawer('clustered', random, of);
      const draw = () => clustered().map((x) => size * x);
      const index = filled(of, 1_500, draw);
      const measured = recall(index, Array.from({ length: 30 }, draw), 100);
      assert.ok(measured > 0.98, `${distance} ${size}: ${measured}`);
    }
  }
});

test('half of the points replaced where lengths differ: recall of inner products stays', () => {
  const of = config(64, 'Dot');
  const random = new SeededRandom(20);
  const clustered = drawer('clustered', random, of);
  const draw = () => {
    const length = Math.exp(1.5 * random.normal());
    return clustered().map((x) => length * x);
  };
  const count = 4_000;
  const index = filled(of, count, draw);
  const queries = Array.from({ length: 50 }, draw);
  const before = recall(index, queries, 32);
  for (let round = 0; round < 5; round += 1) {
    for (let i = 0; i < count / 10; i += 1) index.add((round * count) / 10 + i, draw());
    index.link(NEVER);
  }
  const after = recall(index, queries, 32);
  assert.ok(before > 0.97 && after > 0.97, `recall ${before} then ${after}`);
});

/** Vectors by label, for an index that keeps none. */
function onDisk(of: IndexConfig, vectors: Map<number, Float32Array>): KernelIndex {
  const vectorsOf: VectorsOf = (labels) => Array.from(labels, (label) => vectors.get(label));
  return new KernelIndex({ ...of, onDisk: true }, { ...OPTIONS, vectorsOf });
}

for (const kept of ['in memory', 'on disk']) {
  test(`most points removed: memory is given back and the graph stays, floats ${kept}`, () => {
    const seed = 19;
    const random = new SeededRandom(seed);
    const draw = drawer('clustered', random, config(48));
    const vectors = new Map<number, Float32Array>();
    const index =
      kept === 'on disk' ? onDisk(config(48), vectors) : new KernelIndex(config(48), OPTIONS);
    const add = (label: number) => {
      const vector = draw();
      vectors.set(label, vector);
      index.add(label, vector);
    };
    for (let label = 0; label < 6_000; label += 1) add(label);
    index.link(NEVER);
    const bytes = index.memoryBytes;
    for (let label = 0; label < 6_000; label += 1) {
      if (label % 6 === 0) continue;
      index.remove(label);
      vectors.delete(label);
    }
    // Points come, go and change while the copy is under way.
    for (let step = 0; index.linkPending; step += 1) {
      if (step % 20 === 0 && step < 2_000) add(6 * (step % 1_000));
      if (step % 31 === 0 && step < 2_000) {
        index.remove(6 * (step % 997));
        vectors.delete(6 * (step % 997));
      }
      index.link(() => true);
    }
    assert.equal(index.count, vectors.size);
    assert.equal(index.linked, index.count);
    assert.ok(index.memoryBytes < 0.45 * bytes, `${index.memoryBytes} of ${bytes} bytes`);
    assert.ok(index.hasGraph);
    const queries = Array.from({ length: 100 }, draw);
    const measured = recall(index, queries, 40);
    assert.ok(measured >= 0.95, `recall ${measured}, seed ${seed}`);
    for (const query of queries) {
      const { labels, scores } = find(index, query);
      for (const [at, label] of labels.entries()) {
        const vector = vectors.get(label);
        assert.ok(vector !== undefined, `label ${label} was removed, seed ${seed}`);
        assert.equal(scores[at], scoreOf('Cosine', vector, query));
      }
    }
  });
}

test('a label that is removed and used again while nodes are copied has its new vector', () => {
  const random = new SeededRandom(31);
  const draw = drawer('clustered', random, config(48));
  // The pass over 4,000 slots takes 250 steps, the copy of 1,000 nodes 63 more.
  for (const changed of [255, 275, 295]) {
    const index = filled(config(48), 4_000, draw);
    for (let label = 1_000; label < 4_000; label += 1) index.remove(label);
    const vectors = new Map<number, Float32Array>();
    for (let step = 0; index.linkPending; step += 1) {
      index.link(() => true);
      if (step < changed || step >= changed + 10) continue;
      const vector = draw();
      index.remove(step);
      index.add(step, vector);
      vectors.set(step, vector);
    }
    assert.equal(vectors.size, 10);
    for (const [label, vector] of vectors) {
      const { labels, scores } = exact(index, vector, 1);
      assert.equal(labels[0], label, `changed from step ${changed} on`);
      assert.ok(Math.abs((scores[0] ?? 0) - 1) < 1e-5);
    }
  }
});

test('a shard on disk that is emptied gives its memory back, in the middle of a pass, too', async () => {
  const random = new SeededRandom(37);
  const draw = drawer('clustered', random, config(48));
  const vectors = new Map<number, Float32Array>();
  const index = onDisk(config(48), vectors);
  for (let label = 0; label < 3_000; label += 1) {
    vectors.set(label, draw());
    index.add(label, vectors.get(label) ?? assert.fail());
  }
  index.link(NEVER);
  for (let label = 1_500; label < 3_000; label += 1) index.remove(label);
  for (let step = 0; step < 20; step += 1) index.link(() => true);
  for (let label = 0; label < 1_500; label += 1) index.remove(label);
  index.link(NEVER);
  assert.equal(index.linkPending, false);
  assert.ok(index.memoryBytes < 50_000, `${index.memoryBytes} bytes`);
});

test('an image of few dimensions, whose floats stay in memory, is opened on disk, too', async () => {
  const random = new SeededRandom(41);
  const draw = drawer('clustered', random, config(16));
  const vectors = new Map<number, Float32Array>();
  const index = onDisk(config(16), vectors);
  for (let label = 0; label < 1_500; label += 1) index.add(label, draw());
  index.link(NEVER);
  const sections = asSections(await imageOf(index));
  const copy = await openIndex({ ...config(16), onDisk: true }, OPTIONS, sections);
  assert.equal(copy.linked, 1_500);
});

test('without a graph, memory is given back too when most points are gone', () => {
  const random = new SeededRandom(29);
  for (const flat of [
    config(16, 'Manhattan'),
    { ...config(48), hnsw: { m: 0, efConstruct: 100 } },
  ]) {
    const draw = drawer('clustered', random, flat);
    const index = new KernelIndex(flat, OPTIONS);
    const vectors = Array.from({ length: 4_000 }, draw);
    for (const [label, vector] of vectors.entries()) index.add(label, vector);
    const bytes = index.memoryBytes;
    for (let label = 0; label < 3_900; label += 1) index.remove(label);
    assert.ok(index.memoryBytes < 0.6 * bytes, `${index.memoryBytes} of ${bytes} bytes`);
    for (let label = 3_900; label < 4_000; label += 1) {
      const query = vectors[label] ?? new Float32Array(flat.dimension);
      assert.equal(find(index, query).labels[0], label);
    }
  }
});

test('after a purge, memory holds nothing of what was removed', async () => {
  const random = new SeededRandom(23);
  const draw = drawer('clustered', random, config(40));
  const index = filled(config(40), 1_500, draw);
  const secret = draw();
  index.add(7, secret);
  index.link(NEVER);
  const image = await imageOf(index);
  const kept = Buffer.from(secret.buffer);
  assert.ok(image.includes(kept), 'the floats are there');
  const codes = codesOf(image, 7);
  index.remove(7);
  index.link(NEVER);
  const dead = await imageOf(index);
  assert.ok(!dead.includes(kept), 'the floats go at once');
  assert.ok(dead.includes(codes), 'the codes are there while the graph leads through them');
  index.purge();
  index.link(NEVER);
  assert.ok(!(await imageOf(index)).includes(codes), 'then the codes go, too');
});

/** The second plane of a linked point's codes: see the head of `wasm/layout.ts`. */
function codesOf(image: Buffer, label: number): Buffer {
  const word = (at: number) => image.readUInt32LE(4 * at);
  const [planeBytes, rowStride, slotsPerBlock, blockBytes] = [
    word(6) / 2,
    word(7),
    2 ** word(8),
    word(9),
  ];
  for (let slot = 0; slot < word(12); slot += 1) {
    const block = HEADER_BYTES + Math.floor(slot / slotsPerBlock) * blockBytes;
    const within = slot % slotsPerBlock;
    const row = block + within * rowStride;
    if (image.readUInt32LE(row) !== label || image.readUInt8(row + 7) !== 2) continue;
    const at = block + slotsPerBlock * (rowStride + 16 + planeBytes) + within * planeBytes;
    return Buffer.from(image.subarray(at, at + planeBytes));
  }
  throw new Error(`no linked point ${label}`);
}

test('filters of any share are answered, and only with what they allow', () => {
  const seed = 61;
  const random = new SeededRandom(seed);
  const draw = drawer('clustered', random, config(32));
  const index = filled(config(32), 5_000, draw);
  const queries = Array.from({ length: 20 }, draw);
  for (const share of [0.9, 0.5, 0.1, 0.01, 0.0005, 0]) {
    const allowed = new Bitmap();
    for (let label = 0; label < 5_000; label += 1) if (random.next() < share) allowed.add(label);
    for (const query of queries) {
      const { labels } = find(index, query, 32, allowed);
      assert.equal(labels.length, Math.min(10, allowed.count()));
      assert.ok(labels.every((label) => allowed.has(label)));
    }
    if (allowed.count() === 0) continue;
    const measured = recall(index, queries, 64, allowed);
    assert.ok(measured >= 0.95, `share ${share}: recall ${measured}, seed ${seed}`);
  }
});

async function imageOf(index: KernelIndex): Promise<Buffer> {
  const saved = await index.save();
  const [section] = saved.sections;
  assert.ok(section !== undefined && 'pieces' in section);
  const bytes = Buffer.concat([...section.pieces]);
  assert.equal(bytes.length, section.byteLength);
  await saved.release();
  return bytes;
}

const asSections = (bytes: Buffer) => [
  { name: 'kernel', byteLength: bytes.length, pieces: [bytes] },
];

for (const [kind, dimension] of [
  ['clustered', 24],
  ['shifted', 48],
] as const) {
  test(`an image of ${kind} data opens to the same answers; other settings keep the vectors`, async () => {
    const of = config(dimension);
    const random = new SeededRandom(71);
    const draw = drawer(kind, random, of);
    const index = filled(of, 1_500, draw);
    for (let label = 0; label < 30; label += 1) index.remove(label);
    for (let label = 30; label < 60; label += 1) index.add(label, draw());
    const image = await imageOf(index);
    const copy = await openIndex(of, { ...OPTIONS, seed: 9 }, asSections(image));
    assert.equal(copy.count, 1_470);
    assert.equal(copy.linked, 1_440);
    for (let i = 0; i < 50; i += 1) {
      const query = draw();
      assert.deepEqual(copy.search(query, 10, 20), index.search(query, 10, 20));
      assert.deepEqual(exact(copy, query, 10), exact(index, query, 10));
    }
    const wider = { ...of, hnsw: { m: 24, efConstruct: 100, engine: 'kernel' as const } };
    const rebuilt = await openIndex(wider, OPTIONS, asSections(image));
    assert.equal(rebuilt.count, 1_470);
    assert.equal(rebuilt.linked, 0);
    await assert.rejects(openIndex(config(dimension + 1), OPTIONS, asSections(image)), AppError);
  });
}

test('a damaged memory is refused or harmless: nothing is followed out of bounds', async () => {
  // The image's checksum refuses these before; here is what stands behind it.
  const seed = 81;
  const random = new SeededRandom(seed);
  const draw = drawer('clustered', random, config(16));
  const image = await imageOf(filled(config(16), 1_200, draw));
  const query = draw();
  let refused = 0;
  for (let i = 0; i < 1_000; i += 1) {
    const damaged = Buffer.from(
      i % 10 === 0 ? image.subarray(0, random.below(image.length)) : image,
    );
    if (i % 10 !== 0) {
      const at = random.below(image.length);
      damaged.writeUInt8(damaged.readUInt8(at) ^ (1 << random.below(8)), at);
    }
    const index = KernelIndex.open(config(16), OPTIONS, asSections(damaged));
    if (index === undefined) {
      refused += 1;
      continue;
    }
    const hits = find(index, query, 20);
    assert.equal(new Set(hits.labels).size, hits.labels.length, `seed ${seed}`);
    index.add(1, query);
    index.link(NEVER);
  }
  assert.ok(refused >= 100, 'every shortened one at least');
});

test('a write out of bounds is a trap, and another memory goes on', () => {
  const random = new SeededRandom(91);
  const draw = drawer('clustered', random, config(16));
  const other = filled(config(16), 600, draw);
  const query = draw();
  const before = other.search(query, 10, 20);
  const layout = { dimension: 16, distance: 'Cosine', m: 16, efConstruct: 100, seed: 1 } as const;
  const memory = KernelMemory.create({
    ...layout,
    shape: 'codes',
    rotated: false,
    factor: 1,
    centre: undefined,
    raw: true,
  });
  assert.equal(memory.entry, NONE);
  assert.throws(() => memory.kernel.put(2 ** 20, 7), { name: 'RuntimeError' });
  assert.deepEqual(other.search(query, 10, 20), before);
});

test('a shard past 4 GiB is refused by name, before anything is written', () => {
  const index = new KernelIndex(config(4_096), OPTIONS);
  index.assertRoom(100_000);
  assert.throws(() => index.assertRoom(300_000), /more `shards`/);
});

test('the largest search fits the scratch', () => {
  const random = new SeededRandom(95);
  const draw = drawer('clustered', random, config(4));
  const index = filled(config(4), 3_000, draw);
  assert.equal(index.search(draw(), 2_999, EF_MAX)?.labels.length, 2_999);
});
