/**
 * `on_disk: true`: vectors are left to the rows, memory has codes and links. A client must not be
 * able to tell, but by the worker's memory.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import { takeSeed } from '../harness/seed.ts';
import { type Service, startService } from '../harness/service.ts';

const DIMENSION = 64;
const POINTS = 3_000;
const KINDS = [
  { name: 'in-memory', on_disk: false },
  { name: 'on-disk', on_disk: true },
];

interface Row {
  id: number;
  vector: number[];
  payload: { third: number };
}

/** One worker, so that both collections are in one process. */
async function startWith(rows: Row[], t: Parameters<typeof startService>[0]): Promise<Service> {
  const service = await startService(t, {
    workers: 1,
    env: { BULKHEAD_FLAT_POINTS_MAX: '1000' },
  });
  const client = service.client();
  for (const { name, on_disk } of KINDS) {
    await client.createCollection(name, {
      vectors: { size: DIMENSION, distance: 'Cosine', on_disk },
      hnsw_config: { ef_construct: 100 },
    });
    for (let from = 0; from < rows.length; from += 500) {
      await client.upsert(name, { wait: true, points: rows.slice(from, from + 500) as never });
    }
    await becomeGreen(service, name);
  }
  return service;
}

async function becomeGreen(service: Service, name: string): Promise<void> {
  const deadline = Deadline.after(systemClock, 30_000);
  while ((await service.client().getCollection(name)).status !== 'green') {
    assert.ok(!deadline.expired, `${name} does not become green`);
    await sleep(20);
  }
}

test('a collection on disk answers as one in memory does', async (t) => {
  const random = new SeededRandom(takeSeed(t, 20_261_126));
  const draw = () => Array.from({ length: DIMENSION }, () => Math.fround(random.normal()));
  const rows: Row[] = Array.from({ length: POINTS }, (_, id) => {
    return { id, vector: draw(), payload: { third: id % 3 } };
  });
  const service = await startWith(rows, t);
  const client = service.client();
  const { config } = await client.getCollection('on-disk');
  assert.deepEqual(config.params.vectors, { size: DIMENSION, distance: 'Cosine', on_disk: true });

  const ask = (name: string, query: number[], more: object = {}) =>
    client.query(name, { query, limit: 10, with_payload: true, ...more });
  const third = { filter: { must: [{ key: 'third', match: { value: 1 } }] } };
  const compare = async () => {
    let agreed = 0;
    const queries = Array.from({ length: 20 }, draw);
    for (const query of queries) {
      const exact = await ask('in-memory', query, { params: { exact: true } });
      assert.deepEqual(await ask('on-disk', query, { params: { exact: true } }), exact);
      const few = { ...third, params: { hnsw_ef: 512 } };
      assert.deepEqual(await ask('on-disk', query, few), await ask('in-memory', query, few));
      const { points } = await ask('on-disk', query, { params: { hnsw_ef: 256 } });
      const scoreOf = new Map(exact.points.map(({ id, score }) => [id, score]));
      for (const { id, score } of points) {
        if (!scoreOf.has(id)) continue;
        assert.equal(score, scoreOf.get(id), 'a score is exact, though codes found the point');
        agreed += 1;
      }
    }
    assert.ok(agreed >= 0.9 * 10 * queries.length, `${agreed} hits agree`);
  };
  await compare();

  // Most points go, others come, and the process dies: codes and rows still tell the same.
  for (const { name } of KINDS) {
    await client.delete(name, { wait: true, points: rows.slice(0, 500).map(({ id }) => id) });
    await client.updateVectors(name, {
      wait: true,
      points: rows.slice(500, 600).map(({ id }) => ({ id, vector: rows[id % 7]?.vector ?? [] })),
    });
  }
  await compare();
  await service.killAndWait('worker-1');
  await compare();
  const [same] = await client.retrieve('on-disk', { ids: [700], with_vector: true });
  const [other] = await client.retrieve('in-memory', { ids: [700], with_vector: true });
  assert.deepEqual(same?.vector, other?.vector);
});
