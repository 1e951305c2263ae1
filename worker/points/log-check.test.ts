import assert from 'node:assert/strict';
import { cpSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ShardId } from '../../shared/base/ids.ts';
import { temporaryFolder } from '../../test/harness/temporary-folder.ts';
import { checkLog } from './log-check.ts';
import { createPointsDb, openForReads } from './schema.ts';
import { ShardWriter } from './shard-writer.ts';

const DIMENSION = 16;
const FRAME_BYTES = 24 + 4_096;

/** A log of five transactions, and its file. */
function makeLog(t: TestContext): { folder: string; log: string } {
  const folder = path.join(temporaryFolder(t), 'shard');
  createPointsDb(folder, { shardId: 'shard' as ShardId, dimension: DIMENSION });
  const writer = new ShardWriter(folder, { diskReserveBytes: 0 });
  // The log stays when the last connection to close is one that only reads.
  const reader = openForReads(folder);
  reader.prepare('SELECT count(*) FROM points').get();
  for (let version = 1; version <= 5; version += 1) {
    const ids = Array.from({ length: 20 }, (_, i) => version * 100 + i);
    const vectors = new Float32Array(ids.length * DIMENSION).fill(version);
    writer.commit([{ kind: 'upsert', version, ids, vectors, payloads: ids.map(() => null) }]);
  }
  const copy = path.join(temporaryFolder(t), 'copy');
  cpSync(folder, copy, { recursive: true });
  writer.close();
  reader.close();
  return { folder: copy, log: path.join(copy, 'points.db-wal') };
}

/** Frames that end a transaction, by number. */
function commitsOf(log: string): number[] {
  const bytes = readFileSync(log);
  const frames = Math.floor((bytes.length - 32) / FRAME_BYTES);
  return Array.from({ length: frames }, (_, frame) => frame).filter((frame) => {
    return bytes.readUInt32BE(32 + frame * FRAME_BYTES + 4) !== 0;
  });
}

function flip(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  writeFileSync(file, bytes);
}

const DAMAGED = { name: 'DamagedData' };

test('a log that is whole, cut short or not there is none that is damaged', (t) => {
  const { folder, log } = makeLog(t);
  checkLog(folder);
  const [first = 0, , , fourth = 0] = commitsOf(log);
  truncateSync(log, 32 + (fourth + 1) * FRAME_BYTES + 100);
  checkLog(folder);
  truncateSync(log, 32 + (first + 1) * FRAME_BYTES);
  checkLog(folder);
  truncateSync(log, 20);
  checkLog(folder);
  writeFileSync(log, '');
  checkLog(folder);
  checkLog(path.join(folder, 'nowhere'));
});

test('what is wrong in the last transaction passes for torn, and anything before it does not', (t) => {
  const { folder, log } = makeLog(t);
  const commits = commitsOf(log);
  assert.equal(commits.length, 5);
  const whole = readFileSync(log);
  const frames = Math.floor((whole.length - 32) / FRAME_BYTES);
  const last = (commits.at(-2) ?? 0) + 1;
  for (let frame = 0; frame < frames; frame += 1) {
    for (const at of [0, 9, 18, 24, 2_000, FRAME_BYTES - 1]) {
      writeFileSync(log, whole);
      flip(log, 32 + frame * FRAME_BYTES + at);
      if (frame < last) assert.throws(() => checkLog(folder), DAMAGED, `frame ${frame}`);
      else checkLog(folder);
    }
  }
  for (let at = 0; at < 32; at += 1) {
    writeFileSync(log, whole);
    flip(log, at);
    assert.throws(() => checkLog(folder), DAMAGED, `byte ${at} of the header`);
  }
});

test('frames that are left of a log before are not of this one', (t) => {
  const { folder, log } = makeLog(t);
  const whole = readFileSync(log);
  const writer = new ShardWriter(folder, { diskReserveBytes: 0 });
  writer.commit([{ kind: 'delete', version: 6, ids: [100] }]);
  const now = readFileSync(log);
  assert.ok(now.length < whole.length);
  writeFileSync(log, Buffer.concat([now, whole.subarray(now.length)]));
  checkLog(folder);
  writer.close();
});
