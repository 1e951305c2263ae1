import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { systemClock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import type { ShardId } from '../../shared/base/ids.ts';
import { quietLog } from '../../shared/log/log.ts';
import { write } from '../../test/shard/numbered.ts';
import { PointsStore } from './points-store.ts';

const KIB = 1_024;
const folder = mkdtempSync(path.join(tmpdir(), 'bulkhead-reader-'));
const store = new PointsStore(
  { log: quietLog, clock: systemClock },
  { writerThreads: 1, handlesMax: 2, diskReserveBytes: 0 },
);
await store.start();
after(async () => {
  await store.close(Deadline.after(systemClock, 10_000));
  rmSync(folder, { recursive: true });
});

/** A shard whose points have payloads of these lengths, or none; its labels count from 0. */
async function readerOf(name: string, lengths: (number | null)[]) {
  const shard = path.join(folder, name);
  await store.create(shard, { shardId: name as ShardId, dimension: 2 });
  const payloads = lengths.map((length) => (length === null ? null : payloadOf(length)));
  const vectors = Float32Array.from({ length: 2 * lengths.length }, (_, i) => i);
  const ids = lengths.map((_, i) => 1_000 + i);
  await write(store, shard, { kind: 'upsert', ids, vectors, payloads });
  return store.reader(shard);
}

function payloadOf(length: number): Buffer {
  return Buffer.from(`{"t":"${'é'.repeat((length - 8) / 2)}"}`);
}

const WHOLE = { payload: true, vector: true };

test('labels are read in the order given, each as often as it stands there', async () => {
  const reader = await readerOf('order', Array(40).fill(10));
  const given = [39, 3, 7, 999, 3, 0, ...Array.from({ length: 34 }, (_, i) => 39 - i), 1_000];
  const rows = reader.byLabels(given, WHOLE);
  assert.deepEqual(
    rows.map((row) => row?.id),
    given.map((label) => (label < 40 ? 1_000 + label : undefined)),
  );
  assert.deepEqual(rows[1]?.vector, Float32Array.of(6, 7));
  assert.deepEqual(reader.byLabels([], WHOLE), []);
});

test('a payload is whole, however long, and null where there is none', async () => {
  const lengths = [null, 8, 64 * KIB, 64 * KIB + 2, 300 * KIB, 10];
  const reader = await readerOf('long', lengths);
  const rows = reader.byLabels([0, 1, 2, 3, 4, 5], WHOLE);
  rows.forEach((row, i) => {
    const length = lengths[i] as number | null;
    assert.deepEqual(row?.payload, length === null ? null : payloadOf(length));
  });
  const [unread] = reader.byLabels([4], { payload: false, vector: false });
  assert.equal(unread?.payload, null);
  assert.equal(unread?.vector.length, 0);
});

test('one call ends after about a mebibyte', async () => {
  const reader = await readerOf('bounded', Array(30).fill(300 * KIB));
  const labels = Array.from({ length: 30 }, (_, i) => i);
  assert.equal(reader.byLabels(labels, WHOLE).length, 4);
  assert.equal(reader.byLabels(labels.slice(0, 10), WHOLE).length, 4);
});
