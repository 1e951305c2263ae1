/** A disk that is really full: a small file system in memory, made and removed by the test. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { systemClock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import type { ShardId } from '../../shared/base/ids.ts';
import type { AppError } from '../../shared/errors/app-error.ts';
import { write } from '../../test/shard/numbered.ts';
import { PointsStore } from './points-store.ts';
import type { Change } from './write-op.ts';

const MIB = 2 ** 20;
const DIMENSION = 256;
const BATCH = 100;
const root = mkdtempSync(path.join(tmpdir(), 'bulkhead-full-'));
after(() => rmSync(root, { recursive: true }));

/** Mounts 16 MiB, half of it taken by `filler`; undefined when this machine does not let us. */
function mountSmallDisk(t: TestContext): { folder: string; filler: string } | undefined {
  const folder = mkdtempSync(path.join(root, 'disk-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', folder]);
  if (mounted.status !== 0) {
    t.skip('a small file system can not be mounted here (needs root)');
    return undefined;
  }
  t.after(() => assert.equal(spawnSync('umount', ['-l', folder]).status, 0));
  const filler = path.join(folder, 'filler');
  writeFileSync(filler, Buffer.alloc(8 * MIB));
  return { folder, filler };
}

function batch(index: number): Change {
  const ids = Array.from({ length: BATCH }, (_, i) => index * BATCH + i);
  const vectors = new Float32Array(BATCH * DIMENSION).fill(index);
  return { kind: 'upsert', ids, vectors, payloads: ids.map(() => Buffer.from('{"a":1}')) };
}

async function openStore(t: TestContext, folder: string, diskReserveBytes: number) {
  const events: string[] = [];
  const store = new PointsStore(
    { log: { event: (name) => void events.push(name) }, clock: systemClock },
    { writerThreads: 1, handlesMax: 2, diskReserveBytes },
  );
  t.after(() => store.close(Deadline.after(systemClock, 10_000)));
  await store.start();
  const shard = path.join(folder, 'shard');
  await store.create(shard, { shardId: 'full' as ShardId, dimension: DIMENSION });
  return { store, shard, events };
}

/** Writes batches until one is refused; how many were stored. */
async function fill(store: PointsStore, shard: string): Promise<number> {
  for (let index = 0; ; index += 1) {
    try {
      await write(store, shard, batch(index));
    } catch (error) {
      assert.equal((error as AppError).code, 'insufficient_storage');
      return index;
    }
    assert.ok(index < 200, 'the disk is small');
  }
}

function assertStored(store: PointsStore, shard: string, ids: number[]): void {
  const rows = store.reader(shard).byIds(ids, { payload: true, vector: true });
  for (const [i, row] of rows.entries()) {
    const id = ids[i] ?? 0;
    assert.equal(row?.id, id);
    assert.ok(row.vector.every((x) => x === Math.floor(id / BATCH)));
  }
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => from + i);

test('the reserve is kept: reads and deletes go on, and writes when space is back', async (t) => {
  const disk = mountSmallDisk(t);
  if (disk === undefined) return;
  const { store, shard, events } = await openStore(t, disk.folder, 2 * MIB);
  const stored = await fill(store, shard);
  const { bavail, bsize } = statfsSync(disk.folder);
  assert.ok(bavail * bsize >= 2 * MIB, 'the reserve is free');
  await assert.rejects(write(store, shard, batch(stored)), { code: 'insufficient_storage' });
  assert.deepEqual(events, ['disk_full']);
  assert.ok(stored > 5, `${stored} batches fitted`);
  assertStored(store, shard, range(0, stored * BATCH));

  const gone = range(0, BATCH);
  assert.equal((await write(store, shard, { kind: 'delete', ids: gone })).labels.length, BATCH);
  const clear = { kind: 'clear' } as const;
  await write(store, shard, { kind: 'payload', target: { ids: [BATCH] }, change: clear });
  assert.equal(store.reader(shard).stats().count, (stored - 1) * BATCH);

  rmSync(disk.filler);
  await write(store, shard, batch(0));
  assertStored(store, shard, range(0, stored * BATCH));
});

test('SQLITE_FULL in the middle of a commit: nothing half written, nothing lost', async (t) => {
  const disk = mountSmallDisk(t);
  if (disk === undefined) return;
  const { store, shard, events } = await openStore(t, disk.folder, 0);
  const stored = await fill(store, shard);
  const results = await Promise.allSettled(
    range(0, 8).map((i) => write(store, shard, batch(50 + i))),
  );
  const refused = results.filter(({ status }) => status === 'rejected');
  assert.ok(refused.length > 0 && stored > 5, `${stored} batches fitted`);
  assertStored(store, shard, range(0, stored * BATCH));
  assert.equal(store.reader(shard).stats().count, (stored + 8 - refused.length) * BATCH);

  rmSync(disk.filler);
  const { version } = await write(store, shard, batch(100));
  assert.equal(store.reader(shard).stats().version, version);
  assertStored(store, shard, [...range(0, stored * BATCH), ...range(100 * BATCH, 101 * BATCH)]);
  assert.equal(events[0], 'disk_full');
});
