/** What is kept of rows that were read, and when it is not used. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../../shared/base/random.ts';
import { range } from '../../test/shard/shard-rig.ts';
import type { PointRow, Want } from '../points/points-reader.ts';
import { RecentRows } from './recent-rows.ts';

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

test('what does not fit a smaller index is let go of, and so is what was forgotten', () => {
  const table = new Table();
  let indexBytes = 4 * MIB;
  const recent = new RecentRows({ reader: () => table, indexBytes: () => indexBytes });
  for (const label of range(0, 2_000)) {
    table.set(label, 'x'.repeat(500));
    recent.byLabels([label], PAYLOAD);
  }
  indexBytes = MIB;
  recent.byLabels([5], PAYLOAD);
  assert.ok(recent.bytes <= MIB / 8, `${recent.bytes} bytes`);
  recent.byLabels(range(0, 100), PAYLOAD);
  indexBytes = 100_000;
  recent.purge();
  assert.equal(recent.bytes, 0);
});

test('after a large write nothing is kept, and a large row pushes nothing out', () => {
  const { table, recent } = recentRows(4 * MIB);
  for (const label of [1, 2]) table.set(label, 'row');
  table.set(3, 'x'.repeat(MIB));
  recent.byLabels([1, 2], PAYLOAD);
  for (let i = 0; i < 4; i += 1) recent.byLabels([3], PAYLOAD);
  table.read.length = 0;
  recent.byLabels([1, 2], PAYLOAD);
  assert.deepEqual(table.read, []);
  recent.startWrite()(range(10, 5_000));
  assert.equal(recent.bytes, 0);
});

test('a row is forgotten in both views', () => {
  const { table, recent } = recentRows();
  table.set(1, 'old');
  recent.byLabels([1], PAYLOAD);
  recent.byLabels([1], BARE);
  recent.startWrite()([1]);
  table.set(1, 'new');
  table.read.length = 0;
  assert.deepEqual(texts(recent.byLabels([1], PAYLOAD)), ['new']);
  recent.byLabels([1], BARE);
  assert.deepEqual(table.read, [1, 1]);
});
