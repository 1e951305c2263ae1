/**
 * Collections are paused and come back through the real processes, which are killed in the middle of it: no
 * point is lost, none is there twice, and what was frozen takes its room on the cold disk only.
 */
import assert from 'node:assert/strict';
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { systemClock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import { IS_LONG } from '../harness/profile.ts';
import { takeSeed } from '../harness/seed.ts';
import { type Service, startService } from '../harness/service.ts';

const POINTS = 10_000;
const DIMENSION = 32;
const NAME = 'books';
const KILLS = IS_LONG ? 60 : 4;
const WAIT_MS = 60_000;

interface Operator {
  call(method: string, path: string, body?: object): Promise<Record<string, unknown>>;
  clientId: string;
  /** Of the one collection. */
  path: string;
}

async function startOperator(service: Service): Promise<Operator> {
  const authorization = `Bearer ${service.adminToken()}`;
  const call = async (method: string, where: string, body?: object) => {
    const headers = { authorization, ...(body && { 'content-type': 'application/json' }) };
    const init = { method, headers, ...(body && { body: JSON.stringify(body) }) };
    const response = await fetch(`${service.adminUrl}/admin/v1${where}`, init);
    const reply = (await response.json()) as Record<string, unknown>;
    assert.ok(response.ok, `${method} ${where}: ${JSON.stringify(reply)}`);
    return reply;
  };
  const { clients } = (await call('GET', '/clients')) as { clients: { client_id: string }[] };
  const clientId = clients[0]?.client_id ?? '';
  const listed = await call('GET', `/clients/${clientId}/collections`);
  const [collection] = listed.collections as { collection_id: string; name: string }[];
  assert.equal(collection?.name, NAME);
  return { call, clientId, path: `/clients/${clientId}/collections/${collection.collection_id}` };
}

async function startFilled(t: TestContext, random: SeededRandom) {
  const service = await startService(t, { workers: 2 });
  const client = service.client();
  await client.createCollection(NAME, {
    vectors: { size: DIMENSION, distance: 'Cosine' },
    replication_factor: 2,
  });
  for (let from = 0; from < POINTS; from += 1_000) {
    const points = Array.from({ length: 1_000 }, (_, i) => {
      return { id: from + i, vector: vectorFrom(random), payload: { n: from + i } };
    });
    await client.upsert(NAME, { wait: true, points });
  }
  return { service, operator: await startOperator(service) };
}

function vectorFrom(random: SeededRandom): number[] {
  return Array.from({ length: DIMENSION }, () => Math.fround(random.normal()));
}

async function untilFrozen(service: Service): Promise<void> {
  const deadline = Deadline.after(systemClock, WAIT_MS);
  for (;;) {
    // Two copies, each of which says so.
    const stubs = filesOf(service, 'cold.json').length;
    if (stubs === 2 && filesOf(service, 'points.db').length === 0) return;
    assert.ok(!deadline.expired, `${stubs} of two copies are frozen`);
    await sleep(20);
  }
}

function filesOf(service: Service, name: string): string[] {
  return globSync(`${service.data.folder}/*/clients/**/${name}`);
}

function packedOf(service: Service): string[] {
  return globSync(`${service.data.folder}/*/cold/**/*.zst`).map((file) => path.basename(file));
}

/** One bit of one copy. */
function rotOne(service: Service): void {
  const [file = ''] = globSync(`${service.data.folder}/*/cold/**/points.db.zst`);
  const bytes = readFileSync(file);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  writeFileSync(file, bytes);
}

async function untilInSync(operator: Operator): Promise<void> {
  const deadline = Deadline.after(systemClock, WAIT_MS);
  for (;;) {
    const { replicas } = await operator.call('GET', '/replicas');
    const states = (replicas as { state: string }[]).map(({ state }) => state);
    if (states.length === 2 && states.every((state) => state === 'in_sync')) return;
    assert.ok(!deadline.expired, `the copies are ${states.join(', ')}`);
    await sleep(50);
  }
}

test('a collection is paused, frozen and back, whatever dies meanwhile', async (t) => {
  const random = new SeededRandom(takeSeed(t, 20_261_127));
  const { service, operator } = await startFilled(t, random);
  const query = vectorFrom(random);
  const ask = () => service.client().query(NAME, { query, limit: 20, params: { exact: true } });
  const before = await ask();

  await operator.call('POST', `${operator.path}/pause`, { reason: 'unpaid' });
  const refused = await service.fetch('POST', `/collections/${NAME}/points/query`, { query });
  assert.equal(refused.status, 403);
  assert.match(await refused.text(), /paused by the operator: unpaid/);
  await untilFrozen(service);
  assert.ok(packedOf(service).filter((name) => name === 'points.db.zst').length === 2);
  const info = await service.client().getCollection(NAME);
  assert.deepEqual([info.status, info.points_count], ['grey', POINTS], 'told without waking it');

  await operator.call('POST', `${operator.path}/wake`);
  const startMs = performance.now();
  assert.deepEqual(await ask(), before);
  t.diagnostic(`${POINTS} points were back in ${(performance.now() - startMs).toFixed(0)} ms`);

  for (let kill = 0; kill < KILLS; kill += 1) {
    await operator.call('POST', `${operator.path}/pause`, { reason: 'again' });
    await sleep(random.below(250));
    await service.killAndWait(random.pick(['worker-1', 'worker-2', 'coordinator']));
    if (kill % 2 === 1) await untilFrozen(service);
    await operator.call('POST', `${operator.path}/wake`);
    assert.deepEqual(await ask(), before);
    const { count } = await service.client().count(NAME, { exact: true });
    assert.equal(count, POINTS);
  }
  await operator.call('POST', `${operator.path}/pause`, { reason: 'rot' });
  await untilFrozen(service);
  rotOne(service);
  await operator.call('POST', `${operator.path}/wake`);
  for (let query = 0; query < 4; query += 1) assert.deepEqual(await ask(), before);
  await untilInSync(operator);

  await service.client().upsert(NAME, { wait: true, points: [{ id: POINTS, vector: query }] });
  assert.equal((await ask()).points[0]?.id, POINTS, 'it goes on');

  const client = `/clients/${operator.clientId}`;
  await operator.call('POST', `${client}/pause`, { reason: 'over', scope: 'writes' });
  const put = await service.fetch('PUT', `/collections/${NAME}/points`, { points: [] });
  const { code } = (await put.json()) as { code: string };
  assert.deepEqual([put.status, code], [403, 'paused']);
  await service.client().delete(NAME, { wait: true, points: [POINTS] });
  assert.deepEqual(await ask(), before, 'reads go on, and deletes');
  await operator.call('POST', `${client}/pause`, { reason: 'over', scope: 'all' });
  const read = await service.fetch('POST', `/collections/${NAME}/points/query`, { query });
  assert.equal(read.status, 403);
  assert.equal((await service.fetch('GET', '/v1/usage')).status, 200);
  await operator.call('POST', `${client}/resume`);
  assert.deepEqual(await ask(), before);
});
