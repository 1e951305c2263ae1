/** What writes came to, noted at one shard's writer. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { WriterRig } from '../../test/shard/writer-rig.ts';
import { POINTS_FILE } from './schema.ts';
import type { Change, Numbered, WriteOp } from './write-op.ts';

const DIMENSION = 2;
const VECTOR_BYTES = DIMENSION * Float32Array.BYTES_PER_ELEMENT;
const ALL = { after: 0, upTo: Number.MAX_SAFE_INTEGER };
const meter = (key: string, hour = 1) => ({ key, hour });
const text = (value: string) => Buffer.from(value);

function upsert(ids: number[], payload: Buffer | null = null): Change {
  const vectors = new Float32Array(ids.length * DIMENSION);
  return { kind: 'upsert', ids, vectors, payloads: ids.map(() => payload) };
}

function op(version: number, change: Change, more: Omit<Numbered, 'version'> = {}): WriteOp {
  return { ...change, version, ...more };
}

test('each kind of write is noted by what it came to, in sums by key and hour', (t) => {
  const shard = new WriterRig(t, DIMENSION);
  const payload = text('{"a":1}');
  const a = { meter: meter('a') };
  shard.commit(
    op(1, upsert([1, 2, 3], payload), a),
    op(2, upsert([3, 4]), a),
    op(3, { kind: 'vectors', ids: [4], vectors: new Float32Array(DIMENSION) }, a),
    op(5, { kind: 'delete', ids: [1, 99] }, { meter: meter('b', 2) }),
    op(6, { kind: 'payload', target: { ids: [2, 3] }, change: { kind: 'set', payload } }, a),
    op(7, { kind: 'payload', target: { ids: [2] }, change: { kind: 'clear' } }, a),
    op(8, upsert([5])),
  );
  const bytes = 3 * (VECTOR_BYTES + 7) + 2 * VECTOR_BYTES + VECTOR_BYTES + 2 * 7;
  assert.deepEqual(shard.reader.metered(ALL), {
    sums: [
      { key: 'a', hour: 1, writes: 5, written: 9, deleted: 0, bytes },
      { key: 'b', hour: 2, writes: 1, written: 0, deleted: 1, bytes: 0 },
    ],
    upTo: 8,
    more: false,
  });
});

test('a write that failed, was repeated or was undone is not noted; its group is', (t) => {
  const shard = new WriterRig(t, DIMENSION);
  const once = { key: new Uint8Array(16), request: new Uint8Array(16), at: 1 };
  const more = { meter: meter('a') };
  const missing: Change = { kind: 'vectors', ids: [77], vectors: new Float32Array(DIMENSION) };
  const beyond = { ...upsert([8]), room: { points: 0, bytes: 0 } } as Change;
  shard.commit(
    op(1, upsert([1]), { ...more, once }),
    op(2, missing, more),
    op(3, upsert([1]), { ...more, once }),
    op(4, beyond, more),
    op(5, upsert([2]), { ...more, undoable: { stable: 4 } }),
    op(6, upsert([3, 4]), { ...more, undoable: { stable: 4 } }),
  );
  assert.equal(shard.reader.metered(ALL).sums[0]?.written, 4);
  shard.commit({ kind: 'undo', after: 5, upTo: 6, imageLevellings: undefined });
  const bytes = 2 * VECTOR_BYTES;
  const expected = [{ key: 'a', hour: 1, writes: 2, written: 2, deleted: 0, bytes }];
  assert.deepEqual(shard.reader.metered(ALL).sums, expected);
  shard.reopen();
  assert.deepEqual(shard.reader.metered(ALL).sums, expected);
});

test('a change of several commits is one write', (t) => {
  const shard = new WriterRig(t, DIMENSION);
  shard.commit(op(1, upsert([1, 2, 3])));
  const remove = (id: number): Change => ({ kind: 'delete', ids: [id] });
  shard.commit(op(2, remove(1), { meter: meter('a'), part: 'first' }));
  shard.commit(op(2, remove(2), { meter: meter('a'), part: 'middle' }));
  shard.commit(op(2, remove(3), { meter: meter('a'), part: 'last' }));
  const sum = { key: 'a', hour: 1, writes: 1, written: 0, deleted: 3, bytes: 0 };
  assert.deepEqual(shard.reader.metered(ALL).sums, [sum]);
});

test('notes are read span by span, and go when a write says that they are in the ledger', (t) => {
  const shard = new WriterRig(t, DIMENSION);
  const count = 1_500;
  const ops = Array.from({ length: count }, (_, i) => {
    return op(i + 1, upsert([1]), { meter: meter('a') });
  });
  shard.commit(...ops);
  const first = shard.reader.metered({ after: 0, upTo: count });
  const second = shard.reader.metered({ after: first.upTo, upTo: count });
  assert.ok(first.more && first.upTo < count);
  assert.ok(!second.more);
  assert.equal(second.upTo, count);
  const writesOf = ({ sums }: typeof first) => sums[0]?.writes ?? 0;
  assert.equal(writesOf(first) + writesOf(second), count);
  // A few at a time, but more than come.
  for (let i = 1; i <= 6; i += 1) {
    shard.commit(op(count + i, upsert([1]), { meter: meter('a'), metered: count }));
  }
  assert.equal(writesOf(shard.reader.metered(ALL)), 6);
});

test('a note that the disk has changed is known', (t) => {
  const shard = new WriterRig(t, DIMENSION);
  shard.commit(op(1, upsert([1]), { meter: meter('a') }));
  const db = new Database(path.join(shard.folder, POINTS_FILE));
  db.exec('UPDATE metered SET written = 5');
  db.close();
  assert.throws(() => shard.reader.metered(ALL), { name: 'DamagedData' });
});
