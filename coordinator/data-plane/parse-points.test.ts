import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../shared/base/clock.ts';
import { InvalidInput } from '../../shared/base/invalid.ts';
import { Slices } from '../../shared/base/slices.ts';
import type { VectorConfig } from '../../shared/domain/collection.ts';
import { parseUpsert, type UpsertInput } from './parse-points.ts';

const parse = (input: UpsertInput, config: VectorConfig, path = '') =>
  parseUpsert(input, { config, slices: new Slices(systemClock) }, path);

const DOT = { dimension: 2, distance: 'Dot' } as const;

test('an id that returns keeps its last point, in either form', async () => {
  const uuid = '5C56C79369F34FBF87E6C4BF54C28C26';
  const canonical = '5c56c793-69f3-4fbf-87e6-c4bf54c28c26';
  const listed = await parse(
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
  const batched = await parse(
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
    assert.deepEqual([...(parsed.vectors[''] ?? [])], [3, 3, 4, 4]);
    assert.deepEqual(parsed.payloads.map(String), ['null', '{"b":2}']);
  }
});

test('vectors are normalised under Cosine, each by itself', async () => {
  const config = { dimension: 2, distance: 'Cosine' } as const;
  const points = [
    { id: 1, vector: [3, 4] },
    { id: 2, vector: [0, 1e-20] },
    { id: 3, vector: [3e38, 0] },
  ];
  const { vectors } = await parse({ points }, config);
  const expected = new Float32Array([0.6, 0.8, 0, 1, 1, 0]);
  (vectors[''] ?? []).forEach((x, i) => {
    assert.ok(Math.abs(x - (expected[i] ?? 0)) < 1e-6, `${i}: ${x}`);
  });
});

test('the sentence names the place in the document of the caller', async () => {
  const input = { batch: { ids: [1, 2], vectors: [[1, 2], [1]] } };
  await assert.rejects(parse(input, DOT, 'operations[3].upsert'), (error) => {
    assert.ok(error instanceof InvalidInput);
    assert.equal(error.path, 'operations[3].upsert.batch.vectors[1]');
    return true;
  });
});

test('a large batch is read in slices, in either form', async () => {
  const config = { dimension: 1_024, distance: 'Cosine' } as const;
  const vector = Array.from({ length: 1_024 }, (_, i) => Math.sin(i));
  const ids = Array.from({ length: 5_000 }, (_, i) => i);
  for (const input of [
    { points: ids.map((id) => ({ id, vector })) },
    { batch: { ids, vectors: ids.map(() => vector) } },
  ]) {
    let turns = 0;
    const timer = setInterval(() => {
      turns += 1;
    }, 1);
    const { vectors } = await parse(input, config);
    clearInterval(timer);
    assert.equal(vectors['']?.length, 5_000 * 1_024);
    assert.ok(turns >= 2, `${turns} turns of the event loop`);
  }
});
