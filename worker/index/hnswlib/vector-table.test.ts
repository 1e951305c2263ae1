import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Bitmap } from '../../../shared/base/bitmap.ts';
import { VectorTable } from './vector-table.ts';

test('a shard of ten points takes kilobytes', () => {
  const table = new VectorTable(256);
  for (let label = 0; label < 10; label += 1) table.set(label, new Float32Array(256).fill(label));
  assert.ok(table.memoryBytes <= 32 * 1024, `${table.memoryBytes} bytes`);
});

test('rows survive the growth of the first chunk and the step into the next', () => {
  const table = new VectorTable(4096);
  const { chunkRows } = table;
  const last = chunkRows + 3;
  for (let label = 0; label <= last; label += 1) {
    table.set(label, new Float32Array(4096).fill(label));
  }
  for (let label = 0; label <= last; label += 1) {
    assert.equal(table.row(label)[0], label);
    assert.equal(table.row(label)[4095], label);
  }
  assert.equal(table.count, last + 1);
  assert.equal(table.rowsEnd, last + 1);
});

test('a removed row is zeroed, and an empty chunk is given back', () => {
  const table = new VectorTable(4096);
  const full = new Float32Array(4096).fill(7);
  for (let label = 0; label < 2 * table.chunkRows; label += 1) table.set(label, full);
  const before = table.memoryBytes;
  const row = table.row(5);
  table.delete(5);
  assert.ok(row.every((x) => x === 0));
  for (let label = table.chunkRows; label < 2 * table.chunkRows; label += 1) table.delete(label);
  assert.ok(table.memoryBytes < before * 0.6);
  table.set(table.chunkRows + 1, full);
  assert.equal(table.row(table.chunkRows + 1)[9], 7);
});

test('pieces and adopt are inverse, gaps included', () => {
  const table = new VectorTable(2048);
  const labels = [0, 3, table.chunkRows - 1, 3 * table.chunkRows + 5];
  for (const label of labels) table.set(label, new Float32Array(2048).fill(label + 1));
  const bytes = Buffer.concat([...table.pieces(table.rowsEnd)]);
  assert.equal(bytes.length, table.rowsEnd * 2048 * 4);
  const copy = new Float32Array(new Uint8Array(bytes).buffer);
  const adopted = VectorTable.adopt(2048, Bitmap.of(labels), copy);
  assert.equal(adopted.count, labels.length);
  for (const label of labels) assert.deepEqual(adopted.row(label), table.row(label));
  adopted.set(3 * table.chunkRows + 6, new Float32Array(2048).fill(9));
  assert.equal(adopted.row(3 * table.chunkRows + 6)[0], 9);
  assert.equal(adopted.row(3 * table.chunkRows + 5)[0], 3 * table.chunkRows + 6);
});
