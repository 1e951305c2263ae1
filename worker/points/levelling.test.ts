/** Rows that come from another replica, under the versions that they have there. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import type { ShardId } from '../../shared/base/ids.ts';
import { temporaryFolder } from '../../test/harness/temporary-folder.ts';
import { PointsReader } from './points-reader.ts';
import { movedDigest, rowDigest } from './row-digest.ts';
import { createPointsDb, openForReads, POINTS_FILE } from './schema.ts';
import { type OpResult, ShardWriter } from './shard-writer.ts';
import type { Levelling, WriteOp, WriteOutcome } from './write-op.ts';

const DIMENSION = 2;

function openShard(t: TestContext, tombstonesMax = 1_000) {
  const folder = temporaryFolder(t);
  createPointsDb(folder, { shardId: 'shard' as ShardId, dimension: DIMENSION });
  const writer = new ShardWriter(folder, { diskReserveBytes: 0, tombstonesMax });
  const reader = new PointsReader(folder);
  t.after(() => {
    reader.close();
    writer.close();
  });
  return { folder, writer, reader };
}

function done(results: OpResult[]): WriteOutcome {
  const [result] = results;
  assert.ok(result !== undefined && 'outcome' in result, JSON.stringify(result));
  return result.outcome;
}

function upsert(version: number, ids: number[]): WriteOp {
  const vectors = new Float32Array(ids.length * DIMENSION).fill(version);
  return { kind: 'upsert', version, ids, vectors, payloads: ids.map((id) => payloadOf(id)) };
}

const payloadOf = (id: number, more = '') => Buffer.from(JSON.stringify({ id, more }));

/** `rows` and `removed` are ids with their versions. */
function level(
  rows: [number, number][],
  removed: [number, number][] = [],
  more: Partial<Levelling> = {},
): Levelling {
  return {
    kind: 'level',
    ids: rows.map(([id]) => id),
    versions: rows.map(([, version]) => version),
    payloads: rows.map(([id, version]) => payloadOf(id, `v${version}`)),
    vectors: Float32Array.from(rows.flatMap(([, version]) => [version, -version])),
    removedIds: removed.map(([id]) => id),
    removedVersions: removed.map(([, version]) => version),
    lastVersion: 0,
    floor: 0,
    isLast: false,
    imageLevellings: undefined,
    ...more,
  };
}

function tombstonesOf(reader: PointsReader): [unknown, number][] {
  return reader.removedSince(0, undefined, 100).map(({ id, version }) => [id, version]);
}

function assertCounted({ folder, reader }: { folder: string; reader: PointsReader }): void {
  const db = openForReads(folder);
  const rows = db.prepare<[], [Buffer, number]>('SELECT id, version FROM points').raw().all();
  const bytes = `SELECT sum(length(vector) + ifnull(length(payload), 0)) FROM points`;
  const tombstones = db.prepare<[], number>('SELECT count(*) FROM tombstones').pluck().get();
  const counted = `SELECT value FROM meta WHERE key = 'tombstone_count'`;
  assert.equal(db.prepare<[], number>(counted).pluck().get(), tombstones);
  const { version, ...held } = reader.usage();
  assert.deepEqual(held, {
    points: rows.length,
    bytes: db.prepare<[], number>(bytes).pluck().get() ?? 0,
    digest: rows.reduce((sum, row) => movedDigest(sum, 0, rowDigest(...row)), 0),
  });
  assert.ok(version >= 0);
  db.close();
}

test('rows get the versions that they come with, older or newer; labels are told in order', (t) => {
  const shard = openShard(t);
  const { writer, reader } = shard;
  writer.commit([upsert(10, [1, 2, 3]), upsert(20, [4])]);
  const op = level(
    [
      [2, 5],
      [9, 15],
      [4, 25],
    ],
    [
      [1, 18],
      [77, 19],
    ],
  );
  const outcome = done(writer.commit([op]));
  assert.deepEqual([...outcome.labels], [1, 4, 3, 0]);
  assert.equal(outcome.version, 25);
  const rows = reader.byIds([1, 2, 3, 4, 9], { payload: true, vector: true });
  assert.deepEqual(
    rows.map((row) => row && [row.version, row.vector[0], String(row.payload)]),
    [
      undefined,
      [5, 5, '{"id":2,"more":"v5"}'],
      [10, 10, '{"id":3,"more":""}'],
      [25, 25, '{"id":4,"more":"v25"}'],
      [15, 15, '{"id":9,"more":"v15"}'],
    ],
  );
  assert.deepEqual(tombstonesOf(reader), [
    [1, 18],
    [77, 19],
  ]);
  assertCounted(shard);
  const before = reader.usage();
  assert.deepEqual(done(writer.commit([op])).labels.length, 3, 'what is removed is gone');
  assert.deepEqual(reader.usage(), before, 'the same again changes nothing');
  assert.deepEqual(done(writer.commit([level([], [], { lastVersion: 40 })])).version, 40);
  const [stale] = writer.commit([upsert(40, [5])]);
  assert.ok(stale !== undefined && 'error' in stale && stale.error.code === 'stale_write');
});

test('tombstones: the newest of an id, gone when it returns, and a floor', (t) => {
  const shard = openShard(t, 3);
  const { writer, reader } = shard;
  writer.commit([upsert(1, [1, 2])]);
  writer.commit([
    level(
      [],
      [
        [1, 5],
        [50, 6],
      ],
    ),
  ]);
  writer.commit([
    level(
      [],
      [
        [50, 9],
        [1, 4],
      ],
    ),
  ]);
  assert.deepEqual(tombstonesOf(reader), [
    [1, 5],
    [50, 9],
  ]);
  writer.commit([level([[1, 3]])]);
  assert.deepEqual(tombstonesOf(reader), [[50, 9]]);
  assertCounted(shard);
  writer.commit([level([], [], { floor: 7 })]);
  assert.equal(reader.tombstoneFloor(), 7);
  writer.commit([
    level(
      [],
      [
        [60, 2],
        [61, 3],
        [62, 11],
        [63, 12],
      ],
    ),
  ]);
  assert.deepEqual(tombstonesOf(reader), [
    [50, 9],
    [62, 11],
    [63, 12],
  ]);
  assert.equal(reader.tombstoneFloor(), 7, 'it never sinks');
  assertCounted(shard);
});

test('removed ids are read in the order of version and id, a page at a time', (t) => {
  const { writer, reader } = openShard(t);
  writer.commit([
    level(
      [],
      [
        [5, 2],
        [3, 2],
        [9, 1],
        [4, 3],
        [1, 2],
      ],
    ),
  ]);
  assert.deepEqual(
    reader.removedSince(1, undefined, 2).map(({ id }) => id),
    [1, 3],
  );
  assert.deepEqual(
    reader.removedSince(1, { version: 2, id: 3 }, 9).map(({ id }) => id),
    [5, 4],
  );
  assert.deepEqual(reader.removedSince(3, undefined, 9), []);
});

test('rows that an image may lack are known by a count and a floor', (t) => {
  const { writer, reader } = openShard(t);
  writer.commit([upsert(10, [1])]);
  const after = (op: Levelling) => {
    const { levellings } = done(writer.commit([op]));
    const levelled = reader.levelled();
    assert.equal(levellings, levelled.levellings);
    return [levelled.levellings, levelled.replayFloor];
  };
  assert.deepEqual(
    after(
      level([
        [2, 11],
        [3, 12],
      ]),
    ),
    [0, 0],
    'newer than all: nothing to know',
  );
  assert.deepEqual(after(level([], [[2, 5]])), [0, 0], 'labels that are gone are found anyway');
  assert.deepEqual(after(level([[2, 8]])), [1, 0], 'without an image nothing is known');
  assert.deepEqual(after(level([[3, 7]], [], { imageLevellings: 1 })), [2, 6]);
  assert.deepEqual(after(level([[3, 9]], [], { imageLevellings: 1 })), [3, 6]);
  assert.deepEqual(after(level([[4, 4]], [], { imageLevellings: 1 })), [4, 3]);
  assert.deepEqual(after(level([[4, 12]], [], { imageLevellings: 4 })), [5, 11]);
});

test('a recount finds what was changed behind the back of the counters', (t) => {
  const shard = openShard(t);
  const { folder, writer, reader } = shard;
  writer.commit([upsert(1, [1, 2, 3, 4, 5, 6])]);
  writer.commit([{ kind: 'delete', version: 2, ids: [2] }]);
  const db = new Database(path.join(folder, POINTS_FILE));
  db.exec(`DELETE FROM points WHERE label IN (3, 5); DELETE FROM tombstones;
           UPDATE points SET version = 9, payload = CAST('{"x":1}' AS BLOB) WHERE label = 0;`);
  db.close();
  const outcome = done(writer.commit([{ kind: 'recount' }]));
  assert.deepEqual([outcome.points, outcome.version, outcome.labels.length], [3, 2, 0]);
  assertCounted(shard);
  assert.deepEqual([...done(writer.commit([upsert(10, [7, 8, 9, 10])])).labels], [1, 3, 5, 6]);
  assertCounted(shard);
  assert.deepEqual(reader.stats(), { count: 7, version: 10, labelMax: 6 });
  const emptied = new Database(path.join(folder, POINTS_FILE));
  emptied.exec('DELETE FROM points');
  emptied.close();
  done(writer.commit([{ kind: 'recount' }]));
  assert.deepEqual([...done(writer.commit([upsert(11, [1, 2])])).labels], [0, 1]);
  assertCounted(shard);
});
