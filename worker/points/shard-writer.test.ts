import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import type { ShardId } from '../../shared/base/ids.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import { type PointId, pointIdToKey, type Uuid } from '../../shared/domain/point.ts';
import { NumberingWriter } from '../../test/shard/numbered.ts';
import { PointsReader } from './points-reader.ts';
import { createPointsDb, openForReads } from './schema.ts';
import { type OpResult, ShardWriter, type ShardWriterOptions } from './shard-writer.ts';
import type { Change, WriteOutcome } from './write-op.ts';

const DIMENSION = 3;
const root = mkdtempSync(path.join(tmpdir(), 'bulkhead-points-'));
after(() => rmSync(root, { recursive: true }));

let folders = 0;
function openShard(options: Partial<ShardWriterOptions> = {}) {
  folders += 1;
  const folder = path.join(root, String(folders));
  const shardId = `shard-${folders}` as ShardId;
  createPointsDb(folder, { shardId, dimension: DIMENSION });
  const writer = new NumberingWriter(new ShardWriter(folder, { diskReserveBytes: 0, ...options }));
  const reader = new PointsReader(folder);
  after(() => {
    reader.close();
    writer.close();
  });
  return { folder, writer, reader };
}

const json = (value: unknown) => Buffer.from(JSON.stringify(value));

function upsert(ids: PointId[], seed = 0): Change {
  const vectors = Float32Array.from({ length: ids.length * DIMENSION }, (_, i) => seed + i / 8);
  return {
    kind: 'upsert',
    ids,
    vectors,
    payloads: ids.map((id) => json({ id: String(id), seed })),
  };
}

function outcome(result: OpResult | undefined): WriteOutcome {
  assert.ok(result !== undefined && 'outcome' in result, JSON.stringify(result));
  return result.outcome;
}

function code(result: OpResult | undefined): string {
  assert.ok(result !== undefined && 'error' in result, JSON.stringify(result));
  return result.error.code;
}

const FULL = { payload: true, vector: true };

test('a replaced point keeps its label, a freed label is taken again', () => {
  const { writer, reader } = openShard();
  assert.deepEqual([...outcome(writer.commit([upsert([5, 6, 7])])[0]).labels], [0, 1, 2]);
  assert.deepEqual([...outcome(writer.commit([upsert([6, 8])])[0]).labels], [1, 3]);
  const removed = outcome(writer.commit([{ kind: 'delete', ids: [5, 99, 7, 5] }])[0]);
  assert.deepEqual([...removed.labels], [0, 2]);
  assert.deepEqual(labelsOf(reader), [1, 3]);
  assert.deepEqual([...outcome(writer.commit([upsert([10, 11, 12])])[0]).labels], [0, 2, 4]);
  assert.deepEqual(reader.stats(), { count: 5, version: 4, labelMax: 4 });
  assert.deepEqual(reader.labelsOf([12, 5, 8]), [4, undefined, 3]);
});

test('an op that fails alone changes nothing, leaves its version free and spoils nothing', () => {
  const { writer, reader } = openShard();
  writer.commit([upsert([1, 2])]);
  const results = writer.commit([
    upsert([3]),
    { kind: 'vectors', ids: [1, 77], vectors: new Float32Array(2 * DIMENSION).fill(9) },
    { kind: 'payload', target: { ids: [2, 88] }, change: { kind: 'clear' } },
    { kind: 'payload', target: { ids: [2] }, change: { kind: 'set', payload: Buffer.from('[]') } },
    { kind: 'upsert', ids: [4], vectors: new Float32Array(1), payloads: [null] },
    { kind: 'delete', ids: [2] },
  ]);
  assert.equal(outcome(results[0]).version, 2);
  assert.deepEqual(results.slice(1, 5).map(code), [
    'point_not_found',
    'point_not_found',
    'invalid_argument',
    'internal',
  ]);
  assert.equal(outcome(results[5]).version, 7);
  const [one, two, three] = reader.byIds([1, 2, 3], FULL);
  assert.deepEqual([...(one?.vector ?? [])], [0, 1 / 8, 2 / 8]);
  assert.equal(two, undefined);
  assert.equal(three?.version, 2);
  assert.equal(
    code(writer.commit([{ kind: 'payload', target: { ids: [9] }, change: { kind: 'clear' } }])[0]),
    'point_not_found',
  );
  assert.deepEqual(reader.stats(), { count: 2, version: 7, labelMax: 2 });
});

test('a version that is not above the last is refused, but by the parts of one change', () => {
  const { folder, writer: numbering, reader } = openShard();
  numbering.close();
  const writer = new ShardWriter(folder, { diskReserveBytes: 0 });
  after(() => writer.close());
  const stale = 'stale_write';
  const versions = (results: OpResult[]) =>
    results.map((result) => ('outcome' in result ? result.outcome.version : result.error.code));
  const first = [
    { ...upsert([1]), version: 5 },
    { ...upsert([2]), version: 5 },
    { ...upsert([2]), version: 4 },
    { ...upsert([3]), version: 6 },
  ];
  assert.deepEqual(versions(writer.commit(first)), [5, stale, stale, 6]);
  assert.deepEqual(reader.labelsOf([1, 2, 3]), [0, undefined, 1]);
  const parts = (['middle', 'first', 'first', 'middle', 'last'] as const).map((part, i) => {
    return { ...upsert([10 + i]), version: i < 2 ? 6 - i : 9, part };
  });
  assert.deepEqual(versions(writer.commit(parts)), [6, stale, 9, 9, 9]);
  assert.deepEqual(
    versions(writer.commit([{ ...upsert([4]), version: 9 }])),
    [stale],
    'alone, too',
  );
  const missing: Change = { kind: 'vectors', ids: [77], vectors: new Float32Array(DIMENSION) };
  const failed = writer.commit([{ ...missing, version: 20 }]);
  assert.deepEqual(versions([...failed, ...writer.commit([{ ...upsert([4]), version: 10 }])]), [
    'point_not_found',
    10,
  ]);
  assert.equal(reader.stats().version, 10);
});

test('payload changes answer with the new payloads; labels that are gone are passed over', () => {
  const { writer, reader } = openShard();
  writer.commit([upsert([1, 2, 3])]);
  const change = { kind: 'set', payload: json({ tag: 'x' }) } as const;
  const labels = Uint32Array.of(0, 2, 40);
  const changed = outcome(writer.commit([{ kind: 'payload', target: { labels }, change }])[0]);
  assert.deepEqual([...changed.labels], [0, 2]);
  assert.deepEqual(
    changed.payloads?.map((bytes) => String(bytes)),
    ['{"id":"1","seed":0,"tag":"x"}', '{"id":"3","seed":0,"tag":"x"}'],
  );
  assert.equal(String(reader.byIds([3], FULL)[0]?.payload), '{"id":"3","seed":0,"tag":"x"}');
  outcome(writer.commit([{ kind: 'payload', target: { ids: [3] }, change: { kind: 'clear' } }])[0]);
  assert.equal(reader.byIds([3], FULL)[0]?.payload, null);
});

test('ids of every kind come back exact and in order', () => {
  const { writer, reader } = openShard();
  const ids: PointId[] = [
    0,
    1,
    2 ** 32,
    Number.MAX_SAFE_INTEGER,
    2n ** 53n,
    2n ** 64n - 1n,
    '00000000-0000-4000-8000-000000000001' as Uuid,
    'f47ac10b-58cc-4372-a567-0e02b2c3d479' as Uuid,
  ];
  writer.commit([upsert(ids.toReversed())]);
  const idsOf = (rows: { id: PointId }[]) => rows.map(({ id }) => id);
  assert.deepEqual(idsOf(reader.page(undefined, 100, FULL)), ids);
  assert.deepEqual(idsOf(reader.page(2n ** 53n, 2, FULL)), ids.slice(4, 6));
  assert.deepEqual(idsOf(reader.page(2, 1, FULL)), [2 ** 32]);
  assert.deepEqual(idsOf(reader.scan(-1, 3, FULL)), ids.toReversed().slice(0, 3));
  assert.deepEqual(idsOf(reader.scan(6, 3, FULL)), [0]);
  assert.deepEqual(
    reader.byIds(ids, FULL).map((row) => row?.id),
    ids,
  );
  const [row] = reader.byIds([0], { payload: false, vector: false });
  assert.deepEqual([row?.payload, row?.vector.length], [null, 0]);
});

test('tombstones: pruned to the bound with a floor, removed when the id returns', () => {
  const { folder, writer } = openShard({ tombstonesMax: 3 });
  const ids = [1, 2, 3, 4, 5, 6];
  writer.commit([upsert(ids)]);
  for (const id of ids.slice(0, 5)) writer.commit([{ kind: 'delete', ids: [id] }]);
  const db = openForReads(folder);
  after(() => db.close());
  const versions = () => db.prepare('SELECT version FROM tombstones ORDER BY 1').pluck().all();
  const meta = (key: string) => db.prepare('SELECT value FROM meta WHERE key = ?').pluck().get(key);
  assert.deepEqual(versions(), [4, 5, 6]);
  assert.equal(meta('tombstone_floor'), 3);
  writer.commit([upsert([4])]);
  assert.deepEqual(versions(), [4, 6]);
  assert.equal(meta('tombstone_count'), 2);
});

test('below the reserve only what frees space is done, and growth works again afterwards', () => {
  let free = 1_000_000;
  const { writer, reader } = openShard({ diskReserveBytes: 100_000, freeBytes: () => free });
  writer.commit([upsert([1, 2, 3])]);
  free = 100_010;
  const set = { kind: 'set', payload: json({ a: 'a longer text' }) } as const;
  const ops: Change[] = [
    upsert([4]),
    { kind: 'vectors', ids: [1], vectors: new Float32Array(DIMENSION) },
    { kind: 'payload', target: { ids: [1] }, change: set },
    { kind: 'payload', target: { ids: [1] }, change: { kind: 'clear' } },
    { kind: 'delete', ids: [2] },
    { kind: 'delete-labels', labels: Uint32Array.of(2) },
  ];
  const results = writer.commit(ops);
  const full = 'insufficient_storage';
  assert.deepEqual(results.slice(0, 3).map(code), [full, full, full]);
  assert.deepEqual(
    results.slice(3).map((result) => outcome(result).version),
    [5, 6, 7],
  );
  assert.equal(reader.stats().count, 1);
  free = 1_000_000;
  assert.equal(outcome(writer.commit([upsert([4])])[0]).version, 8);
});

test('changedSince gives the same rows through the index and by the walk', () => {
  const { folder, writer, reader } = openShard();
  const walker = new PointsReader(folder, { changedSortedMax: 0 });
  after(() => walker.close());
  writer.commit([upsert([1, 2, 3, 4, 5, 6])]);
  writer.commit([upsert([5, 2], 1)]);
  writer.commit([upsert([9], 2)]);
  const labels = (version: number, after: number, limit: number, upTo?: number) => {
    const rows = reader.changedSince(version, after, limit, upTo);
    assert.deepEqual(walker.changedSince(version, after, limit, upTo), rows);
    return rows.map((row) => row.label);
  };
  assert.deepEqual(labels(1, -1, 10), [1, 4, 6]);
  assert.deepEqual(labels(1, 1, 1), [4]);
  assert.deepEqual(labels(0, -1, 10), [0, 1, 2, 3, 4, 5, 6]);
  assert.deepEqual(labels(3, -1, 10), []);
  assert.deepEqual(labels(0, -1, 10, 2), [0, 1, 2, 3, 4, 5]);
  assert.deepEqual(labels(1, -1, 10, 2), [1, 4]);
  assert.deepEqual(
    [...(reader.changedSince(2, -1, 1)[0]?.vector ?? [])],
    [2, 2 + 1 / 8, 2 + 2 / 8],
  );
});

test('creation is repeatable, and another shard in the folder is refused', () => {
  const { folder, writer } = openShard();
  writer.commit([upsert([1])]);
  const shardId = `shard-${folders}` as ShardId;
  createPointsDb(folder, { shardId, dimension: DIMENSION });
  assert.throws(() => createPointsDb(folder, { shardId, dimension: 4 }));
  assert.throws(() =>
    createPointsDb(folder, { shardId: 'other' as ShardId, dimension: DIMENSION }),
  );
});

// --- random operations against a plain Map

interface ModelPoint {
  vector: number[];
  payload: string | null;
  version: number;
}

test('random groups of writes agree with a Map', () => {
  const seed = Number(process.hrtime.bigint() % 1_000_000n);
  console.log(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const { folder, writer, reader } = openShard({ tombstonesMax: 20 });
  const model = new Map<PointId, ModelPoint>();
  for (let round = 0; round < 150; round += 1) {
    const ops = Array.from({ length: 1 + random.below(5) }, () => randomOp(random));
    for (const [i, result] of writer.commit(ops).entries()) {
      applyToModel(model, ops[i] as Change, result);
    }
    if (round % 10 === 0) compare(model, reader);
  }
  compare(model, reader);
  const db = openForReads(folder);
  after(() => db.close());
  assert.equal(db.pragma('integrity_check', { simple: true }), 'ok');
});

function randomIds(random: SeededRandom, count: number): PointId[] {
  const ids = new Set<PointId>();
  for (let i = 0; i < count; i += 1) ids.add(random.below(60));
  return [...ids];
}

function randomOp(random: SeededRandom): Change {
  const ids = randomIds(random, 1 + random.below(6));
  const vectors = Float32Array.from({ length: ids.length * DIMENSION }, () => random.below(1000));
  switch (random.below(5)) {
    case 0:
    case 1: {
      const payloads = ids.map(() => (random.below(4) === 0 ? null : json({ n: random.below(9) })));
      return { kind: 'upsert', ids, vectors, payloads };
    }
    case 2:
      return { kind: 'delete', ids };
    case 3:
      return { kind: 'vectors', ids: ids.slice(0, 1), vectors: vectors.slice(0, DIMENSION) };
    default: {
      const change = { kind: 'set', payload: json({ s: random.below(9) }) } as const;
      return { kind: 'payload', target: { ids: ids.slice(0, 1) }, change };
    }
  }
}

function applyToModel(model: Map<PointId, ModelPoint>, op: Change, result: OpResult): void {
  assert.ok('ids' in op || (op.kind === 'payload' && 'ids' in op.target));
  const ids = 'ids' in op ? op.ids : (op as { target: { ids: PointId[] } }).target.ids;
  if ('error' in result) {
    assert.equal(result.error.code, 'point_not_found');
    assert.ok(ids.some((id) => !model.has(id)));
    return;
  }
  const { version, payloads } = result.outcome;
  ids.forEach((id, i) => {
    const old = model.get(id);
    const vector = 'vectors' in op ? [...op.vectors.slice(i * DIMENSION, (i + 1) * DIMENSION)] : [];
    if (op.kind === 'upsert') {
      const payload = op.payloads[i] ?? null;
      model.set(id, { vector, payload: payload && String(payload), version });
    } else if (op.kind === 'delete') model.delete(id);
    else if (op.kind === 'vectors' && old) model.set(id, { ...old, vector, version });
    else if (old) {
      const payload = { ...JSON.parse(old.payload ?? '{}'), ...JSON.parse(String(payloads?.[i])) };
      model.set(id, { ...old, payload: JSON.stringify(payload), version });
    }
  });
}

function compare(model: Map<PointId, ModelPoint>, reader: PointsReader): void {
  const rows = reader.page(undefined, 1000, FULL);
  const expected = [...model.keys()].sort((a, b) =>
    Buffer.compare(pointIdToKey(a), pointIdToKey(b)),
  );
  assert.deepEqual(
    rows.map((row) => row.id),
    expected,
  );
  for (const { id, version, payload, vector } of rows) {
    const found = { version, payload: payload && String(payload), vector: [...vector] };
    assert.deepEqual(found, model.get(id));
  }
  const { count, labelMax } = reader.stats();
  const labels = labelsOf(reader);
  assert.equal(count, rows.length);
  assert.deepEqual(
    labels,
    rows.map((row) => row.label).sort((a, b) => a - b),
  );
  assert.equal(labelMax, labels.at(-1) ?? -1);
  assert.ok(labelMax < 60, 'labels are reused');
}

function labelsOf(reader: PointsReader): number[] {
  const labels: number[] = [];
  let page = reader.labelsPage(undefined);
  while (page.length > 0) {
    labels.push(...page.map(({ label }) => label));
    page = reader.labelsPage(page.at(-1));
  }
  return labels.sort((a, b) => a - b);
}
