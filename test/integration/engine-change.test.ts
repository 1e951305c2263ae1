/**
 * A client changes the engine, and the settings of the graph, of a collection whose points are being
 * linked. Its own searches stay right, and another client's collection on the same worker is served.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import { takeSeed } from '../harness/seed.ts';
import { startService } from '../harness/service.ts';

const DIMENSION = 128;
const POINTS = 4_000;
const CHANGES = [
  { engine: 'hnswlib' },
  { engine: 'kernel' },
  { engine: 'hnswlib', m: 8 },
  { engine: 'kernel', ef_construct: 64 },
  { m: 0 },
  { m: 16 },
];

test('the engine is changed while points are linked, again and again', async (t) => {
  const random = new SeededRandom(takeSeed(t, 20_261_127));
  const service = await startService(t, {
    workers: 1,
    env: { BULKHEAD_FLAT_POINTS_MAX: '500' },
  });
  const client = service.client();
  const worker = service.pidOf('worker-1');
  const vectors = Array.from({ length: POINTS }, () => {
    return Array.from({ length: DIMENSION }, () => Math.fround(random.normal()));
  });
  for (const name of ['changed', 'other']) {
    await client.createCollection(name, { vectors: { size: DIMENSION, distance: 'Euclid' } });
  }
  await client.upsert('other', { wait: true, points: [{ id: 1, vector: vectors[0] ?? [] }] });
  for (let from = 0; from < POINTS; from += 1_000) {
    const points = vectors.slice(from, from + 1_000).map((vector, i) => ({ id: from + i, vector }));
    await client.upsert('changed', { wait: true, points });
  }
  const look = async () => {
    const id = random.below(POINTS);
    const { points } = await client.query('changed', { query: vectors[id] ?? [], limit: 1 });
    assert.equal(points[0]?.id, id);
    const other = await client.query('other', { query: vectors[0] ?? [], limit: 1 });
    assert.equal(other.points[0]?.id, 1);
  };
  for (const change of CHANGES) {
    const response = await service.fetch('PATCH', '/collections/changed', { hnsw_config: change });
    assert.equal(response.status, 200, JSON.stringify(change));
    for (let i = 0; i < 5; i += 1) await look();
    await client.upsert('changed', { wait: true, points: [{ id: 7, vector: vectors[7] ?? [] }] });
  }
  const deadline = Deadline.after(systemClock, 60_000);
  while ((await client.getCollection('changed')).status !== 'green') {
    assert.ok(!deadline.expired, 'it does not become green');
    await sleep(20);
  }
  await look();
  assert.equal(service.pidOf('worker-1'), worker, 'the worker lived through all of it');
});
