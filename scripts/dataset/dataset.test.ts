import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { inParallel } from './in-parallel.ts';
import { queryOf, readDataset, vectorOf } from './read-dataset.ts';
import { filteredTruths, knownTruths, recallOf } from './truth.ts';

/** Three rows of two dimensions (the first two the same) and one query. */
function writeDataset(): string {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-dataset-'));
  const halves = (values: number[]): Uint8Array => {
    return new Uint8Array(new globalThis.Float16Array(values).buffer);
  };
  writeFileSync(join(folder, 'vectors.f16'), halves([1, 0, 1, 0, 0, 0.5]));
  writeFileSync(join(folder, 'queries.f16'), halves([1, 0.25]));
  writeFileSync(join(folder, 'neighbors.i32'), new Uint8Array(Int32Array.of(0, 1, 2).buffer));
  writeFileSync(join(folder, 'payloads.jsonl.gz'), gzipSync('{"a":1}\n{"a":2}\n{"a":3}\n'));
  return folder;
}

test('a dataset is read, and its truth forgives ties only', (t) => {
  const folder = writeDataset();
  t.after(() => rmSync(folder, { recursive: true }));
  const dataset = readDataset(folder);
  assert.equal(dataset.dimension, 2);
  assert.deepEqual([...vectorOf(dataset, 2)], [0, 0.5]);
  assert.deepEqual([...queryOf(dataset, 0)], [1, 0.25]);
  const [truth] = knownTruths(dataset, 1);
  assert.ok(truth !== undefined);
  assert.equal(recallOf(dataset, truth, [0]), 1);
  assert.equal(recallOf(dataset, truth, [1]), 1, 'row 1 is as near as row 0');
  assert.equal(recallOf(dataset, truth, [2]), 0);
  const [two] = knownTruths(dataset, 2);
  assert.ok(two !== undefined);
  assert.equal(recallOf(dataset, two, [0, 0]), 0.5, 'the same row twice is one answer');
  const [filtered] = filteredTruths(dataset, 10, [0, 2]);
  assert.ok(filtered !== undefined);
  assert.equal(filtered.count, 2);
  assert.equal(recallOf(dataset, filtered, [2]), 0.5);
  writeFileSync(join(folder, 'queries.f16'), new Uint8Array(6));
  assert.throws(() => readDataset(folder), /do not belong together/);
});

test('inParallel keeps its bound and stops at the first failure', async () => {
  let running = 0;
  let most = 0;
  const started: number[] = [];
  const task = async (index: number): Promise<void> => {
    started.push(index);
    most = Math.max(most, ++running);
    await new Promise((resume) => setImmediate(resume));
    running -= 1;
    if (index === 5) throw new Error('five');
  };
  await assert.rejects(inParallel(100, 3, task), /five/);
  assert.equal(most, 3);
  assert.ok(started.length < 12);
});
