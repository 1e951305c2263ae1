/** Writes that take effect once, at one shard's writer. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import {
  ONCE_DIGEST_BYTES,
  ONCE_KEPT_MS,
  type Once,
  onceAfter,
} from '../../shared/protocol/once.ts';
import { WriterRig } from '../../test/shard/writer-rig.ts';
import type { PointsReader } from './points-reader.ts';
import { POINTS_FILE } from './schema.ts';
import type { OpResult } from './shard-writer.ts';
import { type Levelling, packOp, unpackOp, type WriteOp } from './write-op.ts';

const DIMENSION = 2;
const START = 1_000_000;

const digest = (n: number) => new Uint8Array(ONCE_DIGEST_BYTES).fill(n);
const once = (key: number, request = 0, at = START): Once => {
  return { key: digest(key), request: digest(request), at };
};

function upsert(version: number, ids: number[], more: Partial<WriteOp> = {}): WriteOp {
  const vectors = new Float32Array(ids.length * DIMENSION).fill(version);
  return {
    kind: 'upsert',
    version,
    ids,
    vectors,
    payloads: ids.map(() => null),
    ...more,
  } as WriteOp;
}

/** Version and whether it was a repetition, or the code of the error. */
function saidBy(results: OpResult[]): unknown[] {
  return results.map((result) => {
    if ('error' in result) return result.error.code;
    const { version, repeated } = result.outcome;
    return repeated === undefined ? version : { version, repeated };
  });
}

const knownAt = ({ reader }: { reader: PointsReader }) => {
  return reader.onceAfter(onceAfter(0), 100).map(({ key, version }) => [key[0], version]);
};

test('a write is done once: again it answers its version, in the same group or after a crash', (t) => {
  const shard = new WriterRig(t, DIMENSION);
  const first = upsert(1, [1], { once: once(7) });
  const again = (version: number) => upsert(version, [1], { once: once(7) });
  const group = shard.commit(first, again(2), upsert(3, [1]), again(4));
  assert.deepEqual(saidBy(group), [1, { version: 1, repeated: 1 }, 3, { version: 3, repeated: 1 }]);
  const before = shard.reader.usage();
  shard.reopen();
  assert.deepEqual(saidBy(shard.commit(again(5))), [{ version: 3, repeated: 1 }]);
  assert.deepEqual(shard.reader.usage(), before);
  assert.deepEqual(saidBy(shard.commit(upsert(6, [1], { once: once(7, 1) }))), ['conflict']);
  assert.deepEqual(shard.reader.usage(), before);
});

test('what was refused is not done, and can be done later', (t) => {
  const shard = new WriterRig(t, DIMENSION);
  const room = { points: 0, bytes: 0 };
  assert.deepEqual(saidBy(shard.commit(upsert(1, [1], { once: once(1), room }))), [
    'quota_exceeded',
  ]);
  const vectors = (version: number): WriteOp => {
    const components = new Float32Array(DIMENSION);
    return { kind: 'vectors', version, ids: [5], vectors: components, once: once(2) };
  };
  assert.deepEqual(saidBy(shard.commit(vectors(2), upsert(3, [5]))), ['point_not_found', 3]);
  assert.deepEqual(saidBy(shard.commit(vectors(4), upsert(5, [1], { once: once(1) }))), [4, 5]);
  assert.deepEqual(knownAt(shard), [
    [2, 4],
    [1, 5],
  ]);
});

test('a change of several commits is done with the last one', (t) => {
  const shard = new WriterRig(t, DIMENSION);
  shard.commit(upsert(1, [1, 2]));
  const part = (version: number, ids: number[], name: 'first' | 'last'): WriteOp => {
    return { kind: 'delete', version, part: name, ids, once: once(3) };
  };
  shard.commit(part(2, [1], 'first'));
  assert.deepEqual(knownAt(shard), []);
  shard.reopen();
  assert.deepEqual(saidBy(shard.commit(part(3, [1], 'first'), part(3, [2], 'last'))), [3, 3]);
  assert.deepEqual(saidBy(shard.commit(part(4, [1], 'first'))), [{ version: 3, repeated: 3 }]);
  assert.equal(shard.reader.usage().points, 0);
});

test('a key is free a day after its first use, and old ones do not gather', (t) => {
  const shard = new WriterRig(t, DIMENSION);
  for (let n = 1; n <= 100; n += 1) shard.commit(upsert(n, [n], { once: once(n) }));
  const late = START + ONCE_KEPT_MS;
  const other = (at: number) => upsert(200, [1], { once: once(1, 9, at) });
  assert.deepEqual(saidBy(shard.commit(other(late - 1))), ['conflict']);
  assert.deepEqual(saidBy(shard.commit(other(late))), [200]);
  for (let n = 1; n <= 6; n += 1) {
    shard.commit(upsert(200 + n, [1], { once: once(100 + n, 0, late) }));
  }
  assert.equal(knownAt(shard).length, 7);
});

test('a span makes what is known in it what it is elsewhere', (t) => {
  const shard = new WriterRig(t, DIMENSION);
  for (let n = 1; n <= 6; n += 1) shard.commit(upsert(n, [n], { once: once(n) }));
  const row = (key: number, version: number) => ({ ...once(key, 5), version });
  const level = (span: Levelling['once']): WriteOp => ({
    kind: 'level',
    ids: [],
    versions: [],
    payloads: [],
    vectors: new Float32Array(),
    removedIds: [],
    removedVersions: [],
    lastVersion: 0,
    floor: 0,
    once: span,
    imageLevellings: undefined,
    isLast: false,
  });
  const until = { version: 4, key: digest(4) };
  const middle = level({ after: onceAfter(2), until, rows: [row(40, 3), row(2, 4)] });
  assert.deepEqual(unpackOp(packOp(middle).value), middle);
  shard.commit(middle);
  assert.deepEqual(knownAt(shard), [
    [1, 1],
    [40, 3],
    [2, 4],
    [5, 5],
    [6, 6],
  ]);
  shard.commit(level({ after: until, until: null, rows: [] }));
  assert.deepEqual(
    knownAt(shard).map(([key]) => key),
    [1, 40, 2],
  );
  assert.deepEqual(saidBy(shard.commit(upsert(9, [1], { once: once(40, 5) }))), [
    { version: 6, repeated: 3 },
  ]);
});

test('the queries go by their indexes', (t) => {
  const { folder } = new WriterRig(t, DIMENSION);
  const db = new Database(path.join(folder, POINTS_FILE), { readonly: true });
  for (const [sql, index] of [
    ['SELECT key FROM once WHERE at <= 5 ORDER BY at LIMIT 16', 'once_by_age'],
    ["DELETE FROM once WHERE (version, key) > (5, x'00')", 'once_by_version'],
    [
      "DELETE FROM once WHERE (version, key) > (5, x'') AND (version, key) <= (6, x'')",
      'once_by_version',
    ],
  ] as const) {
    const plan = db.prepare<[], { detail: string }>(`EXPLAIN QUERY PLAN ${sql}`).all();
    assert.match(plan.map(({ detail }) => detail).join(), new RegExp(`USING.*INDEX ${index}`), sql);
  }
  db.close();
});
