/** What requests came to, when the coordinator dies: its last second is lost at most, and nothing twice. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Service, startService } from '../harness/service.ts';

const QUERIES = 40;
const ROUNDS = 2;
/** What is older than that when the process dies is in the ledger. */
const KEPT_MS = 1_000;

interface Row {
  route: string;
  status: number;
  requests: number;
  queries: number;
}

async function queriesIn(service: Service): Promise<{ requests: number; queries: number }> {
  const response = await service.fetch('GET', '/v1/usage?by=month');
  assert.equal(response.status, 200);
  const { result } = (await response.json()) as { result: { requests: Row[] } };
  const rows = result.requests.filter((row) => row.route === 'query' && row.status === 200);
  return {
    requests: rows.reduce((sum, { requests }) => sum + requests, 0),
    queries: rows.reduce((sum, { queries }) => sum + queries, 0),
  };
}

test('requests are in the ledger a second later, whatever dies, and once', async (t) => {
  const service = await startService(t);
  const vectors = { size: 2, distance: 'Dot' };
  await service.fetch('PUT', '/collections/c', { vectors });
  let done = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const asked = Array.from({ length: QUERIES }, async () => {
      const body = { query: [1, 2], limit: 1 };
      const { status } = await service.fetch('POST', '/collections/c/points/query', body);
      assert.equal(status, 200);
    });
    await Promise.all(asked);
    done += QUERIES;
    await sleep(KEPT_MS);
    await service.killAndWait('coordinator');
    assert.deepEqual(await queriesIn(service), { requests: done, queries: done });
  }
  const exit = await service.stop();
  assert.equal(exit.code, 0);
});

test('what was done just before an orderly end is in the ledger', async (t) => {
  const service = await startService(t);
  for (let i = 0; i < 5; i += 1) await service.fetch('GET', '/collections');
  await service.stop();
  const again = await startService(t, { data: service.data });
  const response = await again.fetch('GET', '/v1/usage?by=month');
  const { result } = (await response.json()) as { result: { requests: Row[] } };
  const listed = result.requests.find(({ route }) => route === 'collections');
  assert.equal(listed?.requests, 5);
});
