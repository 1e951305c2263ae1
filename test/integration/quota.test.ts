/** A client's quota of points through the real processes: exact for many writers at once, and after
 * the death of any process in the middle of it. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { AdminClient } from '../../scripts/cli/admin/admin-client.ts';
import { readAdminToken } from '../../scripts/cli/env-files.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import { takeSeed } from '../harness/seed.ts';
import { type Service, startService } from '../harness/service.ts';

const QUOTA = 600;
const WRITERS = 50;
const COLLECTIONS = ['a', 'b', 'c', 'd'];
const DIMENSION = 4;
/** Ids of one writer; nobody else writes them. */
const IDS_PER_WRITER = 1_000_000;
const TEST_POINTS = 50;
const FILLS_MAX = 5;
/** After which a shard is asked again that has not answered: five seconds. */
const ASK_PAUSE_MS = 2_000;
/** No writer comes so far. */
const NEW_ID = WRITERS * IDS_PER_WRITER;

interface Point {
  name: string;
  id: number;
}

/** One client with a key; what it was told is stored. */
class Tenant {
  readonly stored: Point[] = [];
  readonly #service: Service;
  readonly #key: string;

  constructor(service: Service, key: string) {
    this.#service = service;
    this.#key = key;
  }

  /** The status; 0 when the connection broke. */
  async call(
    method: string,
    path: string,
    body: object,
  ): Promise<{ status: number; code?: string }> {
    const headers = { 'api-key': this.#key, 'content-type': 'application/json' };
    const init = { method, headers, body: JSON.stringify(body) };
    let answer: Response;
    try {
      answer = await fetch(`${this.#service.url}${path}`, init);
    } catch (error) {
      assert.ok(error instanceof TypeError, 'fetch says so when a connection broke');
      return { status: 0 };
    }
    const { status } = answer;
    const { code } = (await answer.json()) as { code?: string };
    return code === undefined ? { status } : { status, code };
  }

  async createCollections(): Promise<void> {
    const vectors = { size: DIMENSION, distance: 'Dot' };
    for (const name of COLLECTIONS) {
      assert.equal((await this.call('PUT', `/collections/${name}`, { vectors })).status, 200);
    }
  }

  async put(name: string, ids: number[]): Promise<{ status: number; code?: string }> {
    const points = ids.map((id) => ({ id, vector: [id % 7, 1, 2, 3], payload: { id } }));
    const answer = await this.call('PUT', `/collections/${name}/points`, { points });
    if (answer.status === 200) this.stored.push(...ids.map((id) => ({ name, id })));
    return answer;
  }

  async delete({ name, id }: Point): Promise<void> {
    const answer = await this.call('POST', `/collections/${name}/points/delete`, { points: [id] });
    assert.equal(answer.status, 200);
  }

  async count(): Promise<number> {
    const client = this.#service.client(this.#key);
    const counts = await Promise.all(
      COLLECTIONS.map((name) => client.count(name, { exact: true })),
    );
    return counts.reduce((sum, { count }) => sum + count, 0);
  }
}

async function startTenant(
  t: TestContext,
): Promise<{ service: Service; live: Tenant; test: Tenant }> {
  const service = await startService(t);
  const token = readAdminToken(service.envFile);
  const admin = new AdminClient({ url: service.adminUrl, token });
  t.after(() => admin.close());
  const { client_id: clientId, version } = await admin.createClient({
    name: 'bounded',
    plan: 'dedicated',
  });
  await admin.updateClient(clientId, version, { overrides: { points: QUOTA } });
  const tenantOf = async (mode: 'live' | 'test') => {
    const { key } = await admin.createKey(clientId, { name: mode, mode });
    const tenant = new Tenant(service, key);
    await tenant.createCollections();
    return tenant;
  };
  return { service, live: await tenantOf('live'), test: await tenantOf('test') };
}

/**
 * New points by all writers at once, some of them several at a time, until each is refused a single
 * one. What broke or could not be had is not repeated: another point follows.
 */
async function fill(tenant: Tenant, random: SeededRandom, round: number): Promise<number> {
  let refused = 0;
  const write = async (writer: number): Promise<void> => {
    let next = writer * IDS_PER_WRITER + round * 10_000;
    for (let most = 3; most > 0; ) {
      const ids = Array.from({ length: 1 + random.below(most) }, () => next++);
      const name = COLLECTIONS[random.below(COLLECTIONS.length)] ?? 'a';
      const { status, code } = await tenant.put(name, ids);
      if (status === 200 || status === 0 || status === 503) continue;
      assert.deepEqual([status, code], [403, 'quota_exceeded']);
      refused += 1;
      most = ids.length - 1;
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
  return refused;
}

/**
 * What lost writes were promised stays out of reach until their shards have said what became of them. A worker
 * that has just come, on a busy machine, may be late with that, and is asked again after a pause.
 */
async function fillUp(tenant: Tenant, random: SeededRandom, round: number): Promise<void> {
  for (let tries = 0; tries < FILLS_MAX; tries += 1) {
    await fill(tenant, random, round + 100 * tries);
    if ((await tenant.count()) === QUOTA) return;
    await sleep(ASK_PAUSE_MS);
  }
}

test('as many points as the plan says, whoever writes and whatever dies', async (t) => {
  const random = new SeededRandom(takeSeed(t, 20261126));
  const { service, live, test: tests } = await startTenant(t);

  assert.ok((await fill(live, random, 0)) >= WRITERS);
  assert.equal(live.stored.length, QUOTA, 'as many were acknowledged');
  assert.equal(await live.count(), QUOTA);
  const again = await Promise.all(
    live.stored.splice(0).map(({ name, id }) => live.put(name, [id])),
  );
  assert.ok(
    again.every(({ status }) => status === 200),
    'what is there can be replaced',
  );

  const gone = live.stored.splice(0, 10);
  await Promise.all(gone.map((point) => live.delete(point)));
  const more = await Promise.all(gone.map(({ id }) => live.put('a', [id + 900_000])));
  assert.ok(
    more.every(({ status }) => status === 200),
    'what is deleted makes room',
  );
  assert.equal((await live.put('b', [NEW_ID])).status, 403);
  const ids = Array.from({ length: TEST_POINTS }, (_, id) => id);
  assert.equal((await tests.put('a', ids)).status, 200, 'test data is not counted');

  await service.killAndWait('coordinator');
  assert.equal((await live.put('c', [NEW_ID])).status, 403, 'a new coordinator knows');
  for (const [round, victim] of ['worker-1', 'coordinator', 'worker-2'].entries()) {
    await Promise.all(live.stored.splice(0, 150).map((point) => live.delete(point)));
    const from = live.stored.length;
    const filling = fill(live, random, 1 + round);
    while (live.stored.length < from + 30) await new Promise(setImmediate);
    await service.killAndWait(victim);
    await filling;
    assert.ok((await live.count()) <= QUOTA, `never more, with ${victim} killed`);
    await fillUp(live, random, 10 + round);
    assert.equal(await live.count(), QUOTA, `exact after ${victim}`);
  }
  t.diagnostic(`${live.stored.length} of ${QUOTA} points were acknowledged`);
});
