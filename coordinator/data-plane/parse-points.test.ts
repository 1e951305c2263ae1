import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvalidInput } from '../../shared/base/invalid.ts';
import { parseUpsert } from './parse-points.ts';

const DOT = { dimension: 2, distance: 'Dot' } as const;

test('an id that returns keeps its last point, in either form', () => {
  const uuid = '5C56C79369F34FBF87E6C4BF54C28C26';
  const canonical = '5c56c793-69f3-4fbf-87e6-c4bf54c28c26';
  const listed = parseUpsert(
    {
      points: [
        { id: 1, vector: [1, 1], payload: { a: 1 } },
        { id: uuid, vector: [2, 2] },
        { id: 1, vector: [3, 3] },
        { id: canonical, vector: [4, 4], payload: { b: 2 } },
      ],
    },
    DOT,
  );
  const batched = parseUpsert(
    {
      batch: {
        ids: [1, uuid, 1, canonical],
        vectors: [
          [1, 1],
          [2, 2],
          [3, 3],
          [4, 4],
        ],
        payloads: [{ a: 1 }, null, null, { b: 2 }],
      },
    },
    DOT,
  );
  for (const parsed of [listed, batched]) {
    assert.deepEqual(parsed.ids, [1, canonical]);
    assert.deepEqual([...parsed.vectors], [3, 3, 4, 4]);
    assert.deepEqual(parsed.payloads.map(String), ['null', '{"b":2}']);
  }
});

test('vectors are normalised under Cosine, each by itself', () => {
  const config = { dimension: 2, distance: 'Cosine' } as const;
  const points = [
    { id: 1, vector: [3, 4] },
    { id: 2, vector: [0, 1e-20] },
    { id: 3, vector: [3e38, 0] },
  ];
  const { vectors } = parseUpsert({ points }, config);
  const expected = new Float32Array([0.6, 0.8, 0, 1, 1, 0]);
  vectors.forEach((x, i) => {
    assert.ok(Math.abs(x - (expected[i] ?? 0)) < 1e-6, `${i}: ${x}`);
  });
});

test('the sentence names the place in the document of the caller', () => {
  const input = { batch: { ids: [1, 2], vectors: [[1, 2], [1]] } };
  assert.throws(
    () => parseUpsert(input, DOT, 'operations[3].upsert'),
    (error) => {
      assert.ok(error instanceof InvalidInput);
      assert.equal(error.path, 'operations[3].upsert.batch.vectors[1]');
      return true;
    },
  );
});
