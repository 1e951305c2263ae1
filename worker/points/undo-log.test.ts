/** Writes that are taken back: everything is as it was, whatever they did. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { SeededRandom } from '../../shared/base/random.ts';
import { ONCE_DIGEST_BYTES, type Once } from '../../shared/protocol/once.ts';
import { takeSeed } from '../../test/harness/seed.ts';
import { WriterRig } from '../../test/shard/writer-rig.ts';
import { PointsReader } from './points-reader.ts';
import { POINTS_FILE } from './schema.ts';
import type { OpResult } from './shard-writer.ts';
import type { Change, Numbered, WriteOp } from './write-op.ts';

const DIMENSION = 2;
const IDS = 30;
const ROUNDS = 120;

/** All that a write can change, but for the last version. */
function dump(folder: string): object {
  const db = new Database(path.join(folder, POINTS_FILE), { readonly: true });
  const all = (sql: string) => db.prepare(sql).raw().all();
  const meta = (key: string) => `(SELECT value FROM meta WHERE key = '${key}')`;
  try {
    const counted = all(
      `SELECT ${meta('next_label')} - ${meta('point_count')}, count(*) FROM free_labels`,
    ) as [[number, number]];
    assert.equal(counted[0][0], counted[0][1], 'every label below the next is taken or free');
    assert.deepEqual(all('SELECT label FROM free_labels INTERSECT SELECT label FROM points'), []);
    return {
      points: all('SELECT label, hex(id), version, payload, hex(vector) FROM points ORDER BY id'),
      tombstones: all('SELECT hex(id), version FROM tombstones ORDER BY id'),
      once: all('SELECT hex(key), hex(request), version, at FROM once ORDER BY key'),
      counted: all(
        `SELECT ${meta('point_count')}, ${meta('payload_bytes')}, ${meta('digest')},
          ${meta('tombstone_count')} - (SELECT count(*) FROM tombstones)`,
      ),
    };
  } finally {
    db.close();
  }
}

function imagesIn(folder: string): number {
  const db = new Database(path.join(folder, POINTS_FILE), { readonly: true });
  const count = db.prepare<[], number>('SELECT count(*) FROM undo').pluck().get();
  db.close();
  return count ?? 0;
}

const vectors = (ids: unknown[], by: number) => {
  return new Float32Array(ids.length * DIMENSION).fill(by);
};
const payloadOf = (n: number) => Buffer.from(JSON.stringify({ n, text: 'x'.repeat(n % 50) }));
const codes = (results: OpResult[]) => {
  return results.map((result) => ('error' in result ? result.error.code : 'done'));
};
const undo = (after: number, upTo: number): WriteOp => {
  return { kind: 'undo', after, upTo, imageLevellings: undefined };
};

function randomChange(random: SeededRandom, version: number): Change {
  const ids = [...new Set(Array.from({ length: 1 + random.below(5) }, () => random.below(IDS)))];
  const payloads = ids.map(() => (random.next() < 0.3 ? null : payloadOf(random.below(100))));
  switch (random.below(6)) {
    case 0:
      return { kind: 'delete', ids };
    case 1:
      return { kind: 'delete-labels', labels: Uint32Array.from(ids) };
    case 2:
      return { kind: 'vectors', ids, vectors: vectors(ids, version) };
    case 3:
      return { kind: 'payload', target: { ids }, change: { kind: 'clear' } };
    case 4: {
      const change = { kind: 'set' as const, payload: payloadOf(version) };
      return { kind: 'payload', target: { labels: Uint32Array.from(ids) }, change };
    }
    default:
      return { kind: 'upsert', ids, vectors: vectors(ids, version), payloads };
  }
}

function onceOf(random: SeededRandom): Once | undefined {
  if (random.next() < 0.6) return undefined;
  const key = new Uint8Array(ONCE_DIGEST_BYTES).fill(random.below(40));
  return { key, request: new Uint8Array(ONCE_DIGEST_BYTES), at: 1_000 };
}

test('all writes above a version are taken back, any number of times, and nothing else', (t) => {
  const random = new SeededRandom(takeSeed(t, 20_261_127));
  const { folder, commit, reopen } = new WriterRig(t, DIMENSION);
  let version = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const stable = version;
    const states = new Map([[version, dump(folder)]]);
    const kept: number[] = [version];
    for (let n = random.below(5); n > 0; n -= 1) {
      version += 1 + random.below(2);
      const numbered: Numbered = { version, once: onceOf(random), undoable: { stable } };
      commit({ ...randomChange(random, version), ...numbered });
      states.set(version, dump(folder));
      kept.push(version);
    }
    if (random.next() < 0.3) reopen();
    if (random.next() < 0.2) continue;
    const after = random.pick(kept);
    version += random.below(2);
    assert.deepEqual(codes(commit(undo(after, version))), ['done']);
    assert.deepEqual(dump(folder), states.get(after), `round ${round}`);
    assert.deepEqual(codes(commit(undo(after, version))), ['done']);
    assert.deepEqual(dump(folder), states.get(after), `round ${round}, again`);
  }
});

test('what comes late after an undo is refused, what came after it is not taken back', (t) => {
  const { commit } = new WriterRig(t, DIMENSION);
  const upsert = (version: number): WriteOp => {
    const undoable = { stable: 0 };
    return {
      kind: 'upsert',
      version,
      ids: [1],
      vectors: vectors([1], version),
      payloads: [null],
      undoable,
    };
  };
  assert.deepEqual(codes(commit(upsert(1), upsert(2), undo(1, 5), upsert(4), upsert(6))), [
    'done',
    'done',
    'done',
    'stale_write',
    'done',
  ]);
  assert.deepEqual(codes(commit(undo(1, 5))), ['stale_write']);
});

test('a write that kept nothing can not be taken back, nor one that was settled', (t) => {
  const { folder, commit } = new WriterRig(t, DIMENSION);
  const remove = (version: number, stable?: number): WriteOp => {
    const undoable = stable === undefined ? undefined : { stable };
    return { kind: 'delete', version, ids: [1], undoable };
  };
  commit(remove(1, 0), remove(2), remove(3, 1));
  assert.deepEqual(codes(commit(undo(1, 3))), ['conflict']);
  assert.deepEqual(codes(commit(undo(2, 3))), ['done']);
  commit(remove(4, 2), remove(5, 4));
  assert.deepEqual(codes(commit(undo(3, 5))), ['conflict']);
  assert.equal(imagesIn(folder), 0);
});

test('rows are kept as they were until their write is settled, and no longer', (t) => {
  const { folder, commit } = new WriterRig(t, DIMENSION);
  const ids = Array.from({ length: 3_000 }, (_, i) => i);
  const upsert = (version: number, stable: number, some = ids): WriteOp => {
    const payloads = some.map(() => null);
    return {
      kind: 'upsert',
      version,
      ids: some,
      vectors: vectors(some, version),
      payloads,
      undoable: { stable },
    };
  };
  commit(upsert(1, 0));
  commit(upsert(2, 0));
  assert.equal(imagesIn(folder), 2 * ids.length);
  for (let version = 3; version < 20; version += 1) commit(upsert(version, version - 1, [1]));
  assert.equal(imagesIn(folder), 1);
  const reader = new PointsReader(folder);
  assert.deepEqual([reader.keepsImages(18), reader.keepsImages(19)], [false, true]);
  commit({ kind: 'settle', upTo: 19 });
  assert.equal(reader.keepsImages(19), false);
  reader.close();
});
