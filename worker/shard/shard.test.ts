/**
 * A worker's shards without the network: registry, real SQLite, real index.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { systemClock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import type { ClientId, CollectionId, ShardId } from '../../shared/base/ids.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import type { ShardDescriptor } from '../../shared/domain/collection.ts';
import { prepareVector } from '../../shared/domain/distance.ts';
import type { Filter } from '../../shared/domain/filter.ts';
import type { PointId } from '../../shared/domain/point.ts';
import { quietLog } from '../../shared/log/log.ts';
import type { Search } from '../../shared/protocol/messages/points-query.ts';
import { PointsStore } from '../points/points-store.ts';
import { ShardRegistry } from './registry.ts';
import type { Shard } from './shard.ts';

const DIMENSION = 16;
const SHARD = '00000000-0000-4000-8000-000000000001' as ShardId;
const seed = 20_261_122;
const random = new SeededRandom(seed);
console.log(`seed ${seed}`);

let dataDir: string;
let store: PointsStore;
let registry: ShardRegistry;

async function startWorker(): Promise<void> {
  store = new PointsStore(
    { clock: systemClock, log: quietLog },
    { writerThreads: 1, handlesMax: 8, diskReserveBytes: 0 },
  );
  await store.start();
  registry = new ShardRegistry(
    { store, clock: systemClock, log: quietLog },
    { dataDir, indexOptions: { graphFrom: 200, seed: 1 } },
  );
  await registry.start();
}

async function stopWorker(save: boolean): Promise<void> {
  const deadline = Deadline.after(systemClock, save ? 30_000 : 0);
  await registry.close(deadline);
  await store.close(Deadline.after(systemClock, 30_000));
}

beforeEach(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'bulkhead-shard-'));
  await startWorker();
});
afterEach(async () => {
  await stopWorker(false);
  await rm(dataDir, { recursive: true });
});

function descriptor(change: Partial<ShardDescriptor> = {}): ShardDescriptor {
  return {
    shardId: SHARD,
    collectionId: '00000000-0000-4000-8000-000000000002' as CollectionId,
    place: {
      clientId: 'cl_aaaaaaaaaaaaaaaa' as ClientId,
      mode: 'live',
      namespace: 'default',
      collection: 'books',
      generation: 1,
      ordinal: 0,
    },
    config: {
      vector: { dimension: DIMENSION, distance: 'Cosine' },
      hnsw: { m: 16, efConstruct: 100 },
    },
    payloadIndexes: {},
    ...change,
  };
}

const inTime = () => Deadline.after(systemClock, 30_000);

function vectorOf(id: number): Float32Array {
  const seeded = new SeededRandom(id);
  const vector = Float32Array.from({ length: DIMENSION }, () => seeded.normal());
  prepareVector('Cosine', vector, '');
  return vector;
}

async function upsert(shard: Shard, ids: number[]): Promise<void> {
  const vectors = new Float32Array(ids.length * DIMENSION);
  for (const [i, id] of ids.entries()) vectors.set(vectorOf(id), i * DIMENSION);
  const payloads = ids.map((id) => Buffer.from(JSON.stringify({ id, odd: id % 2 === 1 })));
  await shard.upsert(ids, vectors, payloads);
}

async function nearest(shard: Shard, id: number, more: Partial<Search> = {}): Promise<PointId[]> {
  const request: Search = {
    target: { kind: 'vector' },
    limit: 3,
    offset: 0,
    exact: false,
    payload: { kind: 'none' },
    withVector: false,
    ...more,
  };
  const { body } = await shard.query({ searches: [request] }, vectorOf(id), inTime());
  return body.results[0]?.records.ids ?? [];
}

const ODD: Filter = {
  must: [{ kind: 'match-any', path: ['odd'], values: [true] }],
  should: [],
  mustNot: [],
};
const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

async function untilLinked(shard: Shard): Promise<void> {
  while (shard.status().state !== 'ready') await new Promise((resolve) => setImmediate(resolve));
}

test('written points are found at once, with and without filter and index', async () => {
  await registry.create(descriptor());
  const shard = await registry.shard(SHARD);
  for (let at = 0; at < 600; at += 100) {
    await upsert(shard, range(at, at + 100));
    const id = at + random.below(100);
    assert.equal((await nearest(shard, id))[0], id, 'acknowledged means searchable');
  }
  const unindexed = await nearest(shard, 7, { filter: ODD, limit: 50 });
  assert.ok(unindexed.length === 50 && unindexed.every((id) => Number(id) % 2 === 1));
  await registry.configure(descriptor({ payloadIndexes: { odd: 'bool' } }));
  assert.deepEqual(await nearest(shard, 7, { filter: ODD, limit: 50 }), unindexed);
  assert.deepEqual(shard.status().payloadIndexPoints, { odd: 600 });
  await untilLinked(shard);
  assert.equal(shard.status().indexed, 600);
  assert.equal(await shard.count(ODD, true, inTime()), 300);
});

test('a point found by its own id is not its own neighbour', async () => {
  await registry.create(descriptor());
  const shard = await registry.shard(SHARD);
  await upsert(shard, range(0, 20));
  const found = await nearest(shard, 0, { target: { kind: 'point', id: 5 }, limit: 20 });
  assert.equal(found.length, 19);
  assert.ok(!found.includes(5));
  await assert.rejects(nearest(shard, 0, { target: { kind: 'point', id: 99 } }), /99/);
});

for (const save of [true, false]) {
  test(`a shard opens again ${save ? 'from its image' : 'from its rows'}`, async () => {
    await registry.create(descriptor({ payloadIndexes: { odd: 'bool' } }));
    let shard = await registry.shard(SHARD);
    await upsert(shard, range(0, 500));
    await untilLinked(shard);
    await stopWorker(save);
    await startWorker();
    shard = await registry.shard(SHARD);
    await upsert(shard, range(500, 510));
    await shard.delete({ kind: 'ids', ids: [3, 4] }, inTime());
    await stopWorker(false);
    await startWorker();
    shard = await registry.shard(SHARD);
    assert.equal(shard.status().points, 508);
    for (const id of [0, 5, 499, 505]) assert.equal((await nearest(shard, id))[0], id);
    for (const id of [3, 4]) assert.ok(!(await nearest(shard, id, { limit: 508 })).includes(id));
    assert.equal(await shard.count(ODD, true, inTime()), 254);
  });
}

test('a damaged image is not served and not fatal', async () => {
  await registry.create(descriptor());
  let shard = await registry.shard(SHARD);
  await upsert(shard, range(0, 400));
  await untilLinked(shard);
  const image = path.join(shard.folder, 'index.img');
  await stopWorker(true);
  const bytes = await readFile(image);
  for (let round = 0; round < 8; round += 1) {
    const damaged = Buffer.from(bytes);
    const at = random.below(bytes.length);
    damaged[at] = (damaged[at] ?? 0) ^ (1 << random.below(8));
    await writeFile(image, damaged.subarray(0, round === 7 ? at : damaged.length));
    await startWorker();
    shard = await registry.shard(SHARD);
    assert.equal(shard.status().points, 400);
    for (const id of [0, 200, 399]) assert.equal((await nearest(shard, id))[0], id);
    await stopWorker(false);
  }
  await startWorker();
});

test('searches during writes never show a deleted point or one that does not match', async () => {
  await registry.create(descriptor({ payloadIndexes: { odd: 'bool' } }));
  const shard = await registry.shard(SHARD);
  await upsert(shard, range(0, 400));
  let writing = true;
  const writes = (async () => {
    for (let round = 0; round < 30; round += 1) {
      const ids = range(0, 20).map(() => random.below(400));
      const flip = Buffer.from(JSON.stringify({ odd: round % 2 === 0 }));
      await shard.updatePayload(
        { kind: 'ids', ids: [...new Set(ids)] },
        { kind: 'set', payload: flip },
        inTime(),
      );
    }
    writing = false;
  })();
  while (writing) {
    const request: Search = {
      target: { kind: 'vector' },
      limit: 20,
      offset: 0,
      exact: false,
      payload: { kind: 'all' },
      withVector: false,
      filter: ODD,
    };
    const { body } = await shard.query({ searches: [request] }, vectorOf(1), inTime());
    for (const payload of body.results[0]?.records.payloads ?? []) {
      assert.equal(JSON.parse(Buffer.from(payload ?? []).toString()).odd, true);
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  await writes;
});

test('a dropped shard is gone with its files, and its place can be taken again', async () => {
  await registry.create(descriptor());
  const { folder } = await registry.shard(SHARD);
  await upsert(await registry.shard(SHARD), [1]);
  await registry.drop(SHARD);
  await registry.drop(SHARD);
  await assert.rejects(registry.shard(SHARD), { code: 'unavailable' });
  await assert.rejects(readFile(path.join(folder, 'points.db')), { code: 'ENOENT' });
  await registry.create(descriptor());
  assert.equal((await registry.shard(SHARD)).status().points, 0);
});
