/** One client far above its limit gets its rate and its burst, and another beside it no error. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { getBytes, RawCaller } from '../../scripts/bench/raw-caller.ts';
import { AdminClient } from '../../scripts/cli/admin/admin-client.ts';
import { readAdminToken } from '../../scripts/cli/env-files.ts';
import { systemClock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import { startService } from '../harness/service.ts';

const SECONDS = 5;
const CALLERS = 8;
const RATE = 60;
const BURST = 120;
/** Of requests that came too soon, some wait for the next turn of their caller. */
const SHARE_MIN = 0.98;

/** How often each status was the answer, asking without a pause. */
async function ask(url: string, key: string, deadline: Deadline): Promise<Map<number, number>> {
  const caller = await RawCaller.connect(url);
  const statuses = new Map<number, number>();
  while (!deadline.expired) {
    const { status } = await caller.ask(getBytes(url, '/collections', { 'api-key': key }));
    statuses.set(status, (statuses.get(status) ?? 0) + 1);
  }
  caller.close();
  return statuses;
}

test('a flood gets the rate of its plan, and nobody else hears of it', async (t) => {
  const service = await startService(t);
  const admin = new AdminClient({
    url: service.adminUrl,
    token: readAdminToken(service.envFile),
  });
  t.after(() => admin.close());
  const { client_id: clientId } = await admin.createClient({ name: 'flood', plan: 'standard' });
  const { key } = await admin.createKey(clientId, { name: 'k', mode: 'live' });
  const startMs = systemClock.monotonicMs();
  const deadline = Deadline.after(systemClock, SECONDS * 1_000);
  const flood = Array.from({ length: CALLERS }, () => ask(service.url, key, deadline));
  const beside = await ask(service.url, service.key, deadline);
  const answers = await Promise.all(flood);
  const seconds = (systemClock.monotonicMs() - startMs) / 1_000;
  const count = (status: number) => {
    return answers.reduce((sum, statuses) => sum + (statuses.get(status) ?? 0), 0);
  };
  const accepted = count(200);
  const most = BURST + RATE * seconds;
  assert.ok(accepted <= most + 1, `${accepted} accepted, ${most} allowed`);
  assert.ok(accepted >= SHARE_MIN * (BURST + RATE * SECONDS), `only ${accepted} accepted`);
  assert.ok(count(429) > accepted, 'it was a flood');
  assert.equal(
    answers.reduce((sum, statuses) => sum + statuses.size, 0),
    2 * CALLERS,
    'no other answers',
  );
  assert.deepEqual([...beside.keys()], [200]);
});
