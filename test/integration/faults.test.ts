/** Real process death, under the load of a stock client. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { QdrantClient } from '@qdrant/js-client-rest';
import { SeededRandom } from '../../shared/base/random.ts';
import { startService } from '../harness/service.ts';

const NAME = 'struck';
const WRITERS = 6;
const DIMENSION = 8;
const COLLECTION = { vectors: { size: DIMENSION, distance: 'Euclid' } } as const;
/** Points from before the first strike. With them the collection has several times the points up to
 * which a search with a small `hnsw_ef` is a scan. */
const POINTS_AT_START = 1_200;
/** A graph from the first points on, so that the approximate searches below are that. */
const ENV = { BULKHEAD_FLAT_POINTS_MAX: '50' };
const ALL = 20_000;
const PROBES = 150;
const GREEN_TRIES = 500;
const GREEN_PAUSE_MS = 20;

/** The vector that goes with an id. */
function vectorOf(id: number): number[] {
  const random = new SeededRandom(id);
  return Array.from({ length: DIMENSION }, () => Math.fround(random.normal()));
}

function pointOf(id: number) {
  return { id, vector: vectorOf(id), payload: { id } };
}

/** What the service said it did. An operation without an answer may or may not have happened. */
class Ledger {
  readonly present = new Set<number>();
  readonly deleted = new Set<number>();
  readonly unknown = new Set<number>();

  async note(id: number, into: Set<number>, request: () => Promise<unknown>): Promise<void> {
    this.present.delete(id);
    try {
      await request();
      into.add(id);
    } catch {
      this.unknown.add(id);
      await sleep(20); // the service is being restarted
    }
  }
}

/** Stores points of its own one after the other, and deletes every fourth again. */
async function write(
  client: QdrantClient,
  ledger: Ledger,
  { writer, stop }: { writer: number; stop: AbortSignal },
): Promise<void> {
  for (let id = POINTS_AT_START + writer; !stop.aborted; id += WRITERS) {
    await ledger.note(id, ledger.present, () => {
      return client.upsert(NAME, { wait: true, points: [pointOf(id)] });
    });
    if (id % 4 !== 0 || !ledger.present.has(id)) continue;
    await ledger.note(id, ledger.deleted, () => client.delete(NAME, { wait: true, points: [id] }));
  }
}

async function check(client: QdrantClient, ledger: Ledger): Promise<void> {
  const { points } = await client.scroll(NAME, { limit: ALL / 2, with_vector: true });
  const found = points.map(({ id }) => Number(id));
  const ids = new Set(found);
  assert.equal(ids.size, found.length, 'nothing is there twice');
  assert.deepEqual(
    [...ledger.present].filter((id) => !ids.has(id)),
    [],
    'nothing is missing',
  );
  assert.deepEqual(
    [...ledger.deleted].filter((id) => ids.has(id)),
    [],
    'nothing returns',
  );
  for (const { id, vector, payload } of points) {
    assert.ok(ledger.present.has(Number(id)) || ledger.unknown.has(Number(id)));
    const stored = (vector as number[]).map(Math.fround);
    assert.deepEqual([stored, payload], [vectorOf(Number(id)), { id }]);
  }
  const { count } = await client.count(NAME, { exact: true });
  assert.equal(count, ids.size);
  const scanned = await hitsOf(client, 0, { limit: ALL / 2, params: { exact: true } });
  assert.deepEqual(new Set(scanned), ids, 'the index holds what the rows hold');
  await checkGraph(client, ids);
}

/** What the graph says, against the scan: a little is missed, or it was no graph; nothing comes
 * that is not there; and whoever asks for a point's own vector finds that point. */
async function checkGraph(client: QdrantClient, ids: ReadonlySet<number>): Promise<void> {
  await becomeGreen(client);
  let same = 0;
  for (let probe = 1; probe <= PROBES; probe += 1) {
    const nobody = -probe;
    const scanned = await hitsOf(client, nobody, { limit: 4, params: { exact: true } });
    const hasty = await hitsOf(client, nobody, { limit: 4, params: { hnsw_ef: 4 } });
    assert.ok(
      hasty.every((id) => ids.has(id)),
      'every hit is there',
    );
    same += hasty.filter((id) => scanned.includes(id)).length;
  }
  const recall = same / (4 * PROBES);
  assert.ok(recall >= 0.6 && recall < 1, `recall ${recall} of hasty searches in a graph`);
  const some = [...ids].filter((_, i) => i % Math.ceil(ids.size / PROBES) === 0);
  let found = 0;
  for (const id of some) {
    if ((await hitsOf(client, id, { limit: 1, params: { hnsw_ef: 64 } }))[0] === id) found += 1;
  }
  assert.ok(found >= 0.98 * some.length, `${found} of ${some.length} points found by their vector`);
}

/** Ids nearest to the vector that goes with `id`. */
async function hitsOf(client: QdrantClient, id: number, how: object): Promise<number[]> {
  const { points } = await client.query(NAME, { query: vectorOf(id), ...how });
  return points.map((point) => Number(point.id));
}

async function becomeGreen(client: QdrantClient): Promise<void> {
  for (let tries = 0; (await client.getCollection(NAME)).status !== 'green'; tries += 1) {
    assert.ok(tries < GREEN_TRIES, 'the collection does not become green');
    await sleep(GREEN_PAUSE_MS);
  }
}

test('kill -9 of any process during writes loses no acknowledged write', async (t) => {
  const service = await startService(t, { env: ENV });
  const client = service.client();
  await client.createCollection(NAME, COLLECTION);
  const ledger = new Ledger();
  const first = Array.from({ length: POINTS_AT_START }, (_, id) => pointOf(id));
  await client.upsert(NAME, { wait: true, points: first });
  for (const { id } of first) ledger.present.add(id);
  const stop = new AbortController();
  const writers = Array.from({ length: WRITERS }, (_, writer) => {
    return write(client, ledger, { writer, stop: stop.signal });
  });
  const [workerA, workerB] = service.workerNames;
  for (const name of [workerA, workerB, 'coordinator', workerA, workerB]) {
    await sleep(150);
    if (name !== undefined) await service.killAndWait(name);
  }
  await sleep(150);
  stop.abort();
  await Promise.all(writers);
  t.diagnostic(`${ledger.present.size} present, ${ledger.deleted.size} deleted`);
  t.diagnostic(`${ledger.unknown.size} operations without an answer`);
  assert.ok(ledger.present.size > POINTS_AT_START + 50 && ledger.deleted.size > 10);
  await check(client, ledger);

  await service.stop();
  const again = await startService(t, { data: service.data, env: ENV });
  await check(again.client(), ledger);
});

test('when the supervisor is killed its processes end, and a new start serves the data', async (t) => {
  const service = await startService(t);
  await service.client().createCollection(NAME, COLLECTION);
  const points = [pointOf(1)];
  await service.client().upsert(NAME, { wait: true, points });
  const pids = ['coordinator', ...service.workerNames].map((name) => service.pidOf(name));
  await service.stop('SIGKILL');
  for (const pid of pids) {
    for (let tries = 0; tries < 500 && existsSync(`/proc/${pid}`); tries++) await sleep(20);
    assert.equal(existsSync(`/proc/${pid}`), false, `process ${pid} is gone`);
  }
  const again = await startService(t, { data: service.data });
  assert.equal((await again.client().count(NAME)).count, 1);
});
