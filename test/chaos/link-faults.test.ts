/**
 * The links between workers and coordinator hold frames up, send them twice, in another order, or are cut
 * in the middle of one. No answer is wrong, no request is stuck, and when the network is well again
 * everything is level.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SeededRandom } from '../../shared/base/random.ts';
import { byProfile } from '../harness/profile.ts';
import { ADMIN_TOKEN, Program } from '../harness/program.ts';
import { takeSeed } from '../harness/seed.ts';
import { temporaryFolder } from '../harness/temporary-folder.ts';
import { LinkProxy } from './link-proxy.ts';
import { becomeLevel, endStorm, raiseStorm, STORM_ENV } from './storm-service.ts';

const WORKERS = 3;
const BAD_MS = byProfile(12_000, 600_000);
const CHANCES = { waits: 8, twice: 15, swapped: 15, cut: 3 };
/** A request may last as long as its deadline, and a little. */
const ANSWERED_WITHIN_MS = 45_000;
const LEVEL_WITHIN_MS = 60_000;

/** A service whose workers reach their coordinator through proxies. */
async function start(t: TestContext, random: SeededRandom) {
  const folder = temporaryFolder(t);
  const dataOf = (name: string) => ({ BULKHEAD_DATA_DIR: join(folder, name), ...STORM_ENV });
  const { BULKHEAD_DATA_DIR } = dataOf('coordinator');
  const coordinator = Program.start(t, 'coordinator', { folder, env: { BULKHEAD_DATA_DIR } });
  const { port, adminPort, linkPort } = await coordinator.ready;
  const proxies: LinkProxy[] = [];
  const workers: Program[] = [];
  for (let i = 1; i <= WORKERS; i += 1) {
    const proxy = await LinkProxy.start(t, Number(linkPort), random);
    const link = { BULKHEAD_COORDINATOR_URL: proxy.url };
    const worker = Program.start(t, 'worker', {
      folder,
      env: { ...dataOf(`worker-${i}`), ...link },
    });
    await worker.untilLogged('link_connected');
    proxies.push(proxy);
    workers.push(worker);
  }
  const adminUrl = `http://127.0.0.1:${adminPort}`;
  const key = await makeKey(adminUrl);
  const endpoint = { url: `http://127.0.0.1:${port}`, key };
  return { endpoint, proxies, workers, admin: { adminUrl, adminToken: () => ADMIN_TOKEN } };
}

async function makeKey(adminUrl: string): Promise<string> {
  const headers = {
    authorization: `Bearer ${ADMIN_TOKEN}`,
    'content-type': 'application/json',
  };
  const post = async (path: string, body: object): Promise<Record<string, unknown>> => {
    const options = { method: 'POST', headers, body: JSON.stringify(body) };
    const answer = await fetch(`${adminUrl}/admin/v1${path}`, options);
    const reply = (await answer.json()) as Record<string, unknown>;
    assert.ok(answer.ok, JSON.stringify(reply));
    return reply;
  };
  const { client_id } = await post('/clients', { name: 'Ada', plan: 'dedicated' });
  return String((await post(`/clients/${client_id}/keys`, { mode: 'live' })).key);
}

test('links that delay, double, swap and cut frames make no answer wrong', async (t) => {
  const random = new SeededRandom(takeSeed(t, 20_261_201));
  const { endpoint, proxies, workers, admin } = await start(t, random);
  const raised = await raiseStorm(endpoint, random, { patience: { reads: true }, points: 300 });
  for (const proxy of proxies) proxy.chances = CHANCES;
  for (let waited = 0; waited < BAD_MS && !raised.storm.failed; waited += 100) await sleep(100);
  for (const proxy of proxies) proxy.chances = { waits: 0, twice: 0, swapped: 0, cut: 0 };
  await within(LEVEL_WITHIN_MS, becomeLevel(admin));
  await endStorm(t, raised);
  const done = proxies.map((proxy) => proxy.done);
  t.diagnostic(`frames: ${JSON.stringify(done)}`);
  for (const fate of ['waits', 'twice', 'swapped', 'cut'] as const) {
    assert.ok(
      done.some((counts) => counts[fate] > 0),
      `some frames ${fate}`,
    );
  }
  const slowest = raised.storm.latencyMs(1);
  assert.ok(slowest < ANSWERED_WITHIN_MS, `every read was answered, the last in ${slowest} ms`);
  const pauses = workers.flatMap((worker) => {
    return worker.logged('link_retry').map(({ delayMs }) => Number(delayMs));
  });
  t.diagnostic(`pauses before dialling: ${pauses.join(', ')} ms`);
  assert.ok(new Set(pauses).size > 1, 'workers do not dial in step');
  for (const worker of workers) assert.ok(worker.isRunning, 'no process died of it');
});

async function within(ms: number, work: Promise<void>): Promise<void> {
  const late = sleep(ms, 'late', { ref: false });
  assert.notEqual(await Promise.race([work, late]), 'late', `it took more than ${ms} ms`);
}
