import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { systemClock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import type { ShardId } from '../../shared/base/ids.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { quietLog } from '../../shared/log/log.ts';
import { write } from '../../test/shard/numbered.ts';
import { PointsStore, type PointsStoreOptions } from './points-store.ts';
import type { Change } from './write-op.ts';

const DIMENSION = 4;
const root = mkdtempSync(path.join(tmpdir(), 'bulkhead-points-'));
after(() => rmSync(root, { recursive: true }));

const soon = () => Deadline.after(systemClock, 10_000);
let folders = 0;

async function openStore(options: Partial<PointsStoreOptions> = {}) {
  const store = new PointsStore(
    { log: quietLog, clock: systemClock },
    { writerThreads: 2, handlesMax: 8, diskReserveBytes: 0, ...options },
  );
  after(() => store.close(soon()));
  await store.start();
  return store;
}

async function makeShard(store: PointsStore): Promise<string> {
  folders += 1;
  const folder = path.join(root, `f${folders}`, 'shard');
  await store.create(folder, { shardId: `s${folders}` as ShardId, dimension: DIMENSION });
  return folder;
}

function upsert(ids: number[], value = 0): Change {
  const vectors = new Float32Array(ids.length * DIMENSION).fill(value);
  return { kind: 'upsert', ids, vectors, payloads: ids.map((id) => Buffer.from(`{"id":${id}}`)) };
}

test('concurrent writes are applied in call order, each under its own version', async () => {
  const store = await openStore();
  const [a, b] = [await makeShard(store), await makeShard(store)];
  const settled: number[] = [];
  const writes = Array.from({ length: 200 }, (_, i) =>
    write(store, i % 2 === 0 ? a : b, upsert([i % 10], i)).then(({ version }) => {
      if (i % 2 === 0) settled.push(version);
      return version;
    }),
  );
  const versions = await Promise.all(writes);
  assert.deepEqual(
    versions,
    versions.map((_, i) => (i >> 1) + 1),
  );
  assert.deepEqual(
    settled,
    settled.toSorted((x, y) => x - y),
  );
  assert.deepEqual(store.reader(a).stats(), { count: 5, version: 100, labelMax: 4 });
  const [row] = store.reader(b).byIds([9], { payload: true, vector: true });
  assert.deepEqual([...(row?.vector ?? [])], [199, 199, 199, 199]);
  assert.equal(String(row?.payload), '{"id":9}');
});

test('the arrays of the caller stay whole, also when they are views', async () => {
  const store = await openStore();
  const folder = await makeShard(store);
  const frame = Float32Array.from({ length: 20 }, (_, i) => i);
  const vectors = frame.subarray(4, 4 + DIMENSION);
  const bytes = Buffer.from('xx{"a":1}yy').subarray(2, 9);
  await write(store, folder, { kind: 'upsert', ids: [1], vectors, payloads: [bytes] });
  const labels = Uint32Array.of(9, 0, 9).subarray(1, 2);
  const change = { kind: 'set', payload: bytes } as const;
  const outcome = await write(store, folder, { kind: 'payload', target: { labels }, change });
  assert.deepEqual(outcome.payloads?.map(String), ['{"a":1}']);
  await write(store, folder, { kind: 'delete-labels', labels });
  assert.deepEqual([vectors.length, labels.length, bytes.length], [4, 1, 7]);
});

test('errors cross the thread as errors for the caller', async () => {
  const store = await openStore();
  const folder = await makeShard(store);
  const vectors = new Float32Array(DIMENSION);
  await assert.rejects(write(store, folder, { kind: 'vectors', ids: [404], vectors }), {
    code: 'point_not_found',
    message: 'point 404 does not exist',
  });
  await assert.rejects(write(store, path.join(root, 'none'), upsert([1])), { code: 'internal' });
  assert.throws(() => store.reader(path.join(root, 'none')));
  assert.equal((await write(store, folder, upsert([1]))).version, 2);
});

test('the queue of one shard is bounded, and others are not affected', async () => {
  const store = await openStore({ writerThreads: 1 });
  const [full, other] = [await makeShard(store), await makeShard(store)];
  const op: Change = { kind: 'delete', ids: [1] };
  const writes = Array.from({ length: LIMITS.shardWritesQueuedMax }, () => write(store, full, op));
  await assert.rejects(write(store, full, op), { code: 'overloaded' });
  assert.equal((await write(store, other, upsert([1]))).version, 1);
  await Promise.all(writes);
  assert.equal((await write(store, full, op)).version, LIMITS.shardWritesQueuedMax + 2);
});

test('more shards than handles', async () => {
  const store = await openStore({ handlesMax: 2 });
  const shards = [];
  for (let i = 0; i < 6; i += 1) shards.push(await makeShard(store));
  for (let round = 1; round <= 3; round += 1) {
    await Promise.all(shards.map((folder) => write(store, folder, upsert([round], round))));
    for (const folder of shards) assert.equal(store.reader(folder).stats().count, round);
  }
});

test('a new shard is closed, so its folder can be renamed; a dropped one can be removed', async () => {
  const store = await openStore();
  const made = await makeShard(store);
  const folder = `${made}.renamed`;
  renameSync(made, folder);
  const writes = [write(store, folder, upsert([1])), write(store, folder, upsert([2]))];
  const dropped = store.drop(folder);
  assert.deepEqual(
    (await Promise.all(writes)).map(({ version }) => version),
    [1, 2],
  );
  await dropped;
  assert.equal(existsSync(path.join(folder, 'points.db-wal')), false, 'no handle is left');
  rmSync(folder, { recursive: true });
  await store.drop(folder);
});

test('close finishes the writes under way and refuses new ones', async () => {
  const store = await openStore();
  const folder = await makeShard(store);
  store.reader(folder);
  const writes = Array.from({ length: 20 }, (_, i) => write(store, folder, upsert([i])));
  await store.close(soon());
  assert.equal((await Promise.all(writes)).length, 20);
  await assert.rejects(write(store, folder, upsert([1])), { code: 'shutting_down' });
  assert.throws(() => store.reader(folder), { code: 'shutting_down' });
  assert.equal(existsSync(path.join(folder, 'points.db-wal')), false, 'the log is folded in');
});
