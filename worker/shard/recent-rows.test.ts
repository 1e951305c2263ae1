/** What is kept of rows that were read, and when it is not used. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must } from '../../shared/base/assert.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import { inTime, nearest, range, request, ShardRig, vectorOf } from '../../test/shard/shard-rig.ts';
import type { PointRow, Want } from '../points/points-reader.ts';
import { RecentRows } from './recent-rows.ts';
import type { Shard } from './shard.ts';

const PAYLOAD = { payload: true, vector: false };
const BARE = { payload: false, vector: false };
const MIB = 2 ** 20;

/** A table that counts what is read of it, and answers for so many rows at a time. */
class Table {
  readonly rows = new Map<number, PointRow>();
  readonly read: number[] = [];
  rowsMax = Number.POSITIVE_INFINITY;

  set(label: number, text: string): void {
    const payload = Buffer.from(text);
    this.rows.set(label, { label, id: label, version: 1, payload, vector: new Float32Array(0) });
  }

  byLabels(labels: ArrayLike<number>, { payload }: Want): (PointRow | undefined)[] {
    const asked = Array.from(labels).slice(0, this.rowsMax);
    this.read.push(...asked);
    return asked.map((label) => {
      const row = this.rows.get(label);
      return row && !payload ? { ...row, payload: null } : row;
    });
  }
}

function recentRows(indexBytes = 64 * MIB): { table: Table; recent: RecentRows } {
  const table = new Table();
  return { table, recent: new RecentRows({ reader: () => table, indexBytes: () => indexBytes }) };
}

function texts(rows: (PointRow | undefined)[]): (string | undefined)[] {
  return rows.map((row) => row?.payload?.toString());
}

test('a row is read once, for each kind of view', () => {
  const { table, recent } = recentRows();
  for (const label of [1, 2, 3]) table.set(label, `row ${label}`);
  assert.deepEqual(texts(recent.byLabels([3, 9, 1], PAYLOAD)), ['row 3', undefined, 'row 1']);
  assert.deepEqual(texts(recent.byLabels([1, 2, 3], PAYLOAD)), ['row 1', 'row 2', 'row 3']);
  assert.deepEqual(table.read, [3, 9, 1, 2]);
  assert.deepEqual(
    recent.byLabels([1, 2], BARE).map((row) => row?.payload),
    [null, null],
  );
  recent.byLabels([2, 1], BARE);
  assert.deepEqual(table.read, [3, 9, 1, 2, 1, 2]);
  recent.byLabels([1], { payload: true, vector: true });
  assert.deepEqual(table.read, [3, 9, 1, 2, 1, 2, 1], 'vectors are not kept');
});

test('where the reader answers for a part, so does this', () => {
  const { table, recent } = recentRows();
  for (const label of range(0, 6)) table.set(label, `row ${label}`);
  recent.byLabels([1, 4], PAYLOAD);
  table.rowsMax = 2;
  const rows = recent.byLabels(range(0, 6), PAYLOAD);
  assert.deepEqual(texts(rows), ['row 0', 'row 1', 'row 2']);
});

test('nothing kept is used while a write is under way, and nothing changed after it', () => {
  const { table, recent } = recentRows();
  for (const label of [1, 2]) table.set(label, 'old');
  recent.byLabels([1, 2], PAYLOAD);
  const first = recent.startWrite();
  const second = recent.startWrite();
  table.set(1, 'new');
  assert.deepEqual(texts(recent.byLabels([1], PAYLOAD)), ['new'], 'it may be committed');
  first([1]);
  table.set(2, 'new');
  assert.deepEqual(texts(recent.byLabels([2], PAYLOAD)), ['new'], 'another one is under way');
  second([]);
  table.read.length = 0;
  assert.deepEqual(texts(recent.byLabels([1, 2], PAYLOAD)), ['new', 'old'], 'only 1 was named');
  assert.deepEqual(table.read, [1]);
});

test('a write without an outcome keeps reads at the table until all is level', () => {
  const { table, recent } = recentRows();
  table.set(1, 'old');
  recent.byLabels([1], PAYLOAD);
  recent.startWrite();
  table.set(1, 'new');
  assert.deepEqual(texts(recent.byLabels([1], PAYLOAD)), ['new']);
  recent.reset();
  assert.equal(recent.bytes, 0);
  assert.deepEqual(texts(recent.byLabels([1], PAYLOAD)), ['new']);
  table.read.length = 0;
  recent.byLabels([1], PAYLOAD);
  assert.deepEqual(table.read, []);
});

test('memory is bounded by that of the index, and what is asked for again stays', (t) => {
  const seed = 3;
  t.diagnostic(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const { table, recent } = recentRows(4 * MIB);
  for (const label of range(0, 5_000)) table.set(label, 'x'.repeat(random.below(2_000)));
  table.set(5_000, 'x'.repeat(MIB));
  for (const label of range(1, 5_001)) {
    recent.byLabels([label, 0], PAYLOAD);
    assert.ok(recent.bytes <= 4 * MIB * (1 / 8), `${recent.bytes} bytes after ${label}`);
  }
  assert.ok(recent.bytes > MIB / 8, 'it is used');
  assert.equal(table.read.filter((label) => label === 0).length, 1);
  const small = recentRows(100_000);
  small.table.set(1, 'row');
  small.recent.byLabels([1], PAYLOAD);
  assert.equal(small.recent.bytes, 0, 'nothing is kept for a small index');
});

test('a purge lets go of what was changed', () => {
  const { table, recent } = recentRows();
  for (const label of [1, 2]) table.set(label, 'secret');
  recent.byLabels([1, 2], PAYLOAD);
  recent.purge();
  assert.ok(recent.bytes > 0, 'nothing was changed');
  recent.startWrite()([2]);
  recent.purge();
  assert.equal(recent.bytes, 0);
});

test('searches of a real shard show the payloads that were acknowledged last', async (t) => {
  const seed = 20_261_126;
  t.diagnostic(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const shard = await (await ShardRig.start(t)).create();
  const ids = range(0, 4_000);
  const generations = new Map(ids.map((id) => [id, 0]));
  for (const id of ids.filter((each) => each % 500 === 0)) {
    await put(shard, ids.slice(id, id + 500), 0);
  }
  const indexBytes = shard.reads.status().memoryBytes;
  for (let round = 1; round <= 300; round += 1) {
    const changed = Array.from({ length: 3 }, () => random.below(ids.length));
    // Before and after, so that they are kept when they change.
    for (const id of changed) await assertShown(shard, id, must(generations.get(id), 'known'));
    const distinct = [...new Set(changed)];
    for (const id of distinct) generations.set(id, round);
    await change(shard, distinct, round);
    for (const id of distinct) await assertShown(shard, id, round);
  }
  assert.ok(shard.reads.status().memoryBytes > indexBytes, 'rows were kept');
  await shard.delete({ kind: 'ids', ids: [7] }, inTime());
  assert.ok(!(await nearest(shard, 7)).includes(7));
});

function payloadsOf(ids: number[], generation: number): Buffer[] {
  return ids.map((id) => Buffer.from(JSON.stringify({ id, generation })));
}

function put(shard: Shard, ids: number[], generation: number): Promise<number> {
  const vectors = Float32Array.from(ids.flatMap((id) => [...vectorOf(id)]));
  return shard.upsert(ids, { '': vectors }, payloadsOf(ids, generation));
}

/** The same vectors, by each of the ways in which a payload can change. */
function change(shard: Shard, ids: number[], generation: number): Promise<number> {
  if (generation % 2 === 0) return put(shard, ids, generation);
  const payload = Buffer.from(JSON.stringify({ generation }));
  return shard.updatePayload({ kind: 'ids', ids }, { kind: 'set', payload }, inTime());
}

async function assertShown(shard: Shard, id: number, generation: number): Promise<void> {
  const searches = [request({ limit: 1, payload: { kind: 'all' } })];
  const { body } = await shard.reads.query({ searches }, vectorOf(id), inTime());
  const payload = must(body.results[0]?.records.payloads?.[0], 'there is a payload');
  assert.deepEqual(JSON.parse(Buffer.from(payload).toString()), { id, generation });
}
