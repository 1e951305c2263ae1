/** What a shard says it holds: exact after every write, whatever became of it. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import Database from 'better-sqlite3';
import type { ShardId } from '../../shared/base/ids.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import type { Room, Written } from '../../shared/protocol/schema.ts';
import { cleanUp } from '../../test/harness/cleanup.ts';
import { takeSeed } from '../../test/harness/seed.ts';
import { temporaryFolder } from '../../test/harness/temporary-folder.ts';
import { NumberingWriter, numbering } from '../../test/shard/numbered.ts';
import { PointsReader } from './points-reader.ts';
import { movedDigest, rowDigest } from './row-digest.ts';
import { createPointsDb, openForReads, POINTS_FILE } from './schema.ts';
import { type OpResult, ShardWriter } from './shard-writer.ts';
import { type Change, packOp, packOutcome, unpackOp, unpackOutcome } from './write-op.ts';

const DIMENSION = 3;
/** What migrations have added. */
const LATER = `('payload_bytes', 'digest', 'levellings', 'replay_floor', 'undo_floor')`;
const VECTOR_BYTES = 4 * DIMENSION;
const IDS = 40;

function openShard(t: TestContext) {
  const folder = temporaryFolder(t);
  createPointsDb(folder, { shardId: 'shard' as ShardId, dimension: DIMENSION });
  const numbered = numbering();
  const open = () =>
    new NumberingWriter(new ShardWriter(folder, { diskReserveBytes: 0 }), numbered);
  const shard = { folder, open, writer: open() };
  cleanUp(t, () => shard.writer.close());
  return shard;
}

const text = (length: number) => Buffer.from(JSON.stringify({ t: 'x'.repeat(length) }));

function upsert(ids: number[], payloads: (Buffer | null)[], room?: Room): Change {
  return { kind: 'upsert', ids, vectors: new Float32Array(ids.length * DIMENSION), payloads, room };
}

/** Counted from the rows themselves. */
function countRows(folder: string): Omit<Written, 'version'> {
  const db = openForReads(folder);
  const sql = `SELECT count(*) AS points,
    ifnull(sum(length(vector) + ifnull(length(payload), 0)), 0) AS bytes FROM points`;
  const counted = db.prepare<[], { points: number; bytes: number }>(sql).get();
  const rows = db.prepare<[], [Buffer, number]>('SELECT id, version FROM points').raw().all();
  db.close();
  assert.ok(counted !== undefined);
  const digest = rows.reduce((sum, row) => movedDigest(sum, 0, rowDigest(...row)), 0);
  return { ...counted, digest };
}

function usageOf(folder: string) {
  const reader = new PointsReader(folder);
  const usage = reader.usage();
  reader.close();
  return usage;
}

const codeOf = (result: OpResult | undefined) =>
  result !== undefined && 'error' in result ? result.error.code : 'done';

function randomOp(random: SeededRandom): Change {
  const ids = [...new Set(Array.from({ length: 1 + random.below(5) }, () => random.below(IDS)))];
  const payload = () => (random.below(4) === 0 ? null : text(random.below(300)));
  const room =
    random.below(3) === 0 ? { points: random.below(3), bytes: random.below(200) } : undefined;
  switch (random.below(6)) {
    case 0:
    case 1:
      return upsert(ids, ids.map(payload), room);
    case 2:
      return { kind: 'delete', ids };
    case 3:
      return { kind: 'delete-labels', labels: Uint32Array.from(ids.slice(0, 2)) };
    case 4:
      return { kind: 'vectors', ids, vectors: new Float32Array(ids.length * DIMENSION) };
    default:
      return { kind: 'payload', target: { ids }, change: randomChange(random), room };
  }
}

function randomChange(random: SeededRandom): Extract<Change, { kind: 'payload' }>['change'] {
  const key = `k${random.below(4)}`;
  const payload = Buffer.from(JSON.stringify({ [key]: 'y'.repeat(random.below(90)) }));
  switch (random.below(4)) {
    case 0:
      return { kind: 'clear' };
    case 1:
      return { kind: 'delete-keys', paths: [[key]] };
    case 2:
      return { kind: 'overwrite', payload };
    default:
      return { kind: 'set', payload };
  }
}

test('points, bytes and digest are those of the rows after any mix of writes', (t) => {
  const random = new SeededRandom(takeSeed(t, 20261126));
  const shard = openShard(t);
  const seen = new Map<string, number>();
  for (let round = 0; round < 400; round += 1) {
    const ops = Array.from({ length: 1 + random.below(4) }, () => randomOp(random));
    const results = shard.writer.commit(ops);
    const outcomes = results.flatMap((result) => ('outcome' in result ? [result.outcome] : []));
    for (const result of results) seen.set(codeOf(result), (seen.get(codeOf(result)) ?? 0) + 1);
    const last = outcomes.at(-1);
    if (last !== undefined) {
      const { points, bytes, digest, version } = last;
      assert.deepEqual({ points, bytes, digest }, countRows(shard.folder), `round ${round}`);
      assert.deepEqual(usageOf(shard.folder), { version, points, bytes, digest });
    }
    if (round % 50 !== 0) continue;
    shard.writer.close();
    shard.writer = shard.open();
  }
  for (const code of ['done', 'point_not_found', 'quota_exceeded']) {
    assert.ok((seen.get(code) ?? 0) > 20, `${code}: ${seen.get(code)} times`);
  }
});

test('a write that does not fit its room is undone, and nothing else of its group', (t) => {
  const { writer, folder } = openShard(t);
  writer.commit([upsert([1, 2], [text(10), text(10)])]);
  const before = usageOf(folder);
  const none = { points: 0, bytes: 0 };
  const one = { points: 1, bytes: VECTOR_BYTES + text(0).length };
  const longer = { kind: 'set', payload: Buffer.from('{"more":1}') } as const;
  const results = writer.commit([
    upsert([3], [null], none),
    upsert([1], [text(10)], none),
    upsert([1, 4, 5], [null, null, null], { points: 1, bytes: 10_000 }),
    { kind: 'payload', target: { ids: [2] }, change: longer, room: none },
    upsert([6], [text(0)], one),
    upsert([7], [text(1)], one),
  ]);
  const no = 'quota_exceeded';
  assert.deepEqual(results.map(codeOf), [no, 'done', no, no, 'done', no]);
  const after = usageOf(folder);
  const { version, ...held } = after;
  assert.equal(version, before.version + 5);
  assert.deepEqual([held.points, held.bytes], [3, before.bytes + one.bytes]);
  assert.deepEqual(countRows(folder), held);
  assert.equal(codeOf(writer.commit([upsert([8], [null], none)])[0]), no, 'alone, too');
  assert.deepEqual(usageOf(folder), after);
});

test('room and totals cross to the writer thread and back', () => {
  const room = { points: 1, bytes: 2 };
  const change = { kind: 'clear' } as const;
  for (const op of [
    upsert([1], [null], room),
    { kind: 'payload', target: { ids: [1] }, change, room } as Change,
  ]) {
    const crossed = unpackOp(structuredClone(packOp({ ...op, version: 7, part: 'first' }).value));
    assert.deepEqual('room' in crossed && crossed.room, room);
    assert.deepEqual('part' in crossed && [crossed.version, crossed.part], [7, 'first']);
  }
  const outcome = { version: 3, points: 4, bytes: 5, digest: 6, labels: Uint32Array.of(6) };
  assert.deepEqual(unpackOutcome(packOutcome(outcome).value), outcome);
  const withPayloads = { ...outcome, payloads: [Buffer.from('{}')] };
  assert.deepEqual(unpackOutcome(packOutcome(withPayloads).value), withPayloads);
});

for (const first of ['reader', 'writer'] as const) {
  test(`a file from before the counters is counted once, opened first by a ${first}`, (t) => {
    const shard = openShard(t);
    const { folder } = shard;
    shard.writer.commit([upsert([1, 2, 3], [text(5), null, text(500)])]);
    const right = usageOf(folder);
    shard.writer.close();
    const old = new Database(path.join(folder, POINTS_FILE));
    old.exec(
      `DELETE FROM meta WHERE key IN ${LATER}; DROP TABLE once; DROP TABLE undo; DROP TABLE metered; PRAGMA user_version = 1;`,
    );
    old.close();
    if (first === 'reader') assert.deepEqual(usageOf(folder), right);
    shard.writer = shard.open();
    assert.deepEqual(usageOf(folder), right);
    shard.writer.commit([{ kind: 'delete', ids: [3] }]);
    const { version: _, ...held } = usageOf(folder);
    assert.deepEqual(held, countRows(folder));
  });
}
