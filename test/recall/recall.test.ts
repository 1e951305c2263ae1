/**
 * Recall floors over the real service, on each engine, on data that needs nothing beside this tree: clusters of
 * different sizes and spreads, and a payload that follows the cluster for some filters and not for
 * others. Settings are the service's own, so the graph begins where it does for a client.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { inParallel } from '../../scripts/dataset/in-parallel.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import { ENGINES, type Engine } from '../../shared/domain/collection.ts';
import { takeSeed } from '../harness/seed.ts';
import { startService } from '../harness/service.ts';

type Client = Awaited<ReturnType<typeof startClient>>;

const NAME = 'clustered';
const DIMENSION = 32;
const POINTS = 6_000;
const CLUSTERS = 40;
const QUERIES = 100;
const HITS = 10;
const CONCURRENCY = 4;
const BATCH_POINTS = 500;
const GREEN_TRIES = 1_000;
const GREEN_PAUSE_MS = 20;

interface Point {
  id: number;
  vector: number[];
  payload: { cluster: number; shade: number };
}

interface Search {
  name: string;
  recallMin: number;
  params?: { hnsw_ef?: number; exact?: boolean };
  filter?: object;
  holds?: (point: Point) => boolean;
  /** A graph with so small an `ef` must miss something; that it does shows that it was asked. */
  misses?: true;
}

const SEARCHES: readonly Search[] = [
  { name: 'default', recallMin: 0.95 },
  { name: 'hnsw_ef 256', recallMin: 0.99, params: { hnsw_ef: 256 } },
  { name: 'exact', recallMin: 1, params: { exact: true } },
  { name: 'hnsw_ef 10', recallMin: 0.8, params: { hnsw_ef: HITS }, misses: true },
  {
    name: 'half of all points',
    recallMin: 0.95,
    filter: { must: [{ key: 'shade', range: { lt: 50 } }] },
    holds: ({ payload }) => payload.shade < 50,
  },
  {
    name: 'two of a hundred points',
    recallMin: 0.95,
    filter: { must: [{ key: 'shade', range: { gte: 98 } }] },
    holds: ({ payload }) => payload.shade >= 98,
  },
  {
    name: 'clusters that many queries are far from',
    recallMin: 0.95,
    filter: { must: [{ key: 'cluster', range: { lt: 30 } }] },
    holds: ({ payload }) => payload.cluster < 30,
  },
];

for (const engine of ENGINES) {
  test(`searches find the neighbours that an exact scan finds, ${engine}`, async (t) => {
    const random = new SeededRandom(takeSeed(t, 20_261_124));
    const points = clusteredPoints(random);
    const queries = Array.from({ length: QUERIES }, () => {
      return near(random.pick(points).vector, 0.3, random);
    });
    const client = await startClient(t, engine, points);
    for (const search of SEARCHES) {
      const allowed = search.holds === undefined ? points : points.filter(search.holds);
      const recall = await measureRecall(client, search, allowed, queries);
      t.diagnostic(`${search.name}: recall@${HITS} ${recall.toFixed(4)}`);
      assert.ok(recall >= search.recallMin, `${search.name}: ${recall}`);
      if (search.misses) assert.ok(recall < 1, `${search.name}: nothing was missed, so no graph`);
    }
  });
}

/** A client of a new service in which the points are loaded and linked. */
async function startClient(t: TestContext, engine: Engine, points: Point[]) {
  const service = await startService(t);
  const client = service.client();
  const hnsw_config = { engine } as object;
  await client.createCollection(NAME, {
    vectors: { size: DIMENSION, distance: 'Euclid' },
    hnsw_config,
  });
  for (let from = 0; from < points.length; from += BATCH_POINTS) {
    await client.upsert(NAME, { wait: true, points: batchOf(points, from) });
  }
  await client.createPayloadIndex(NAME, { field_name: 'shade', field_schema: 'integer' });
  for (let tries = 0; (await client.getCollection(NAME)).status !== 'green'; tries += 1) {
    assert.ok(tries < GREEN_TRIES, 'the collection does not become green');
    await sleep(GREEN_PAUSE_MS);
  }
  return client;
}

/** The share of the nearest points, among those allowed, that the searches find. */
async function measureRecall(
  client: Client,
  { params, filter }: Search,
  allowed: Point[],
  queries: number[][],
): Promise<number> {
  const ids = new Set(allowed.map(({ id }) => id));
  let found = 0;
  await inParallel(queries.length, CONCURRENCY, async (index) => {
    const query = queries[index] ?? [];
    const { points } = await client.query(NAME, {
      query,
      limit: HITS,
      ...(params && { params }),
      ...(filter && { filter }),
    });
    assert.equal(points.length, HITS);
    assert.ok(
      points.every(({ id }) => ids.has(Number(id))),
      'every hit matches',
    );
    const farthest = distanceToNth(allowed, query) * (1 + 1e-5);
    found += points.filter(({ score }) => score <= farthest).length;
  });
  return found / (queries.length * HITS);
}

/** Distance from the query to the last of its true neighbours. */
function distanceToNth(points: Point[], query: number[]): number {
  const distances = Float64Array.from(points, ({ vector }) => distanceOf(query, vector));
  return distances.sort()[HITS - 1] ?? 0;
}

/** Clusters by size from a few points to a few hundred. */
function clusteredPoints(random: SeededRandom): Point[] {
  const origin = Array.from({ length: DIMENSION }, () => 0);
  const clusters = Array.from({ length: CLUSTERS }, () => {
    return { center: near(origin, 1, random), spread: 0.2 + 0.5 * random.next() };
  });
  return Array.from({ length: POINTS }, (_, id) => {
    const cluster = Math.floor(CLUSTERS * Math.sqrt(random.next()));
    const { center, spread } = clusters[cluster] ?? { center: origin, spread: 1 };
    const vector = near(center, spread, random);
    return { id, vector, payload: { cluster, shade: random.below(100) } };
  });
}

function near(center: number[], spread: number, random: SeededRandom): number[] {
  return center.map((x) => Math.fround(x + spread * random.normal()));
}

function distanceOf(a: number[], b: number[]): number {
  let sum = 0;
  for (let i = 0; i < a.length; i += 1) sum += ((a[i] ?? 0) - (b[i] ?? 0)) ** 2;
  return Math.sqrt(sum);
}

function batchOf(points: Point[], from: number) {
  const batch = points.slice(from, from + BATCH_POINTS);
  return batch.map(({ id, vector, payload }) => ({ id, vector, payload: { ...payload } }));
}
