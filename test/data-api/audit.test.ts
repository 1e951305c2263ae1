/** What the audit log says of requests. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSmall, type DataRig, startRig } from './data-rig.ts';

const VECTOR = [1, 0, 0, 0];

interface Entry {
  action: string;
  outcome: number;
  request: string;
  deleted?: number;
  sample?: number;
}

/** All entries, as soon as that request is among them. */
async function entriesUntil(rig: DataRig, requestId: string | null): Promise<Entry[]> {
  for (let tries = 0; tries < 200; tries += 1) {
    const { json } = await rig.call('GET', '/v1/audit?limit=1000');
    const entries = json.result.entries as Entry[];
    if (entries.some(({ request }) => request === requestId)) return entries;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`no entry of ${requestId}`);
}

test('of a plan that samples queries one in so many is there, and everything else', async (t) => {
  const rig = await startRig(t, { limits: { audit_query_sample: 4 } });
  await createSmall(rig);
  const query = { query: VECTOR };
  for (let i = 0; i < 9; i += 1) await rig.call('POST', '/collections/c/points/query', query);
  for (let i = 0; i < 3; i += 1) await rig.call('POST', '/collections/none/points/query', query);
  const points = [{ id: 1, vector: VECTOR }];
  for (let i = 0; i < 3; i += 1) await rig.call('PUT', '/collections/c/points', { points });
  const last = await rig.call('POST', '/collections/c/points/delete', { points: [1] });
  const entries = await entriesUntil(rig, last.headers.get('x-request-id'));
  const queries = entries.filter(({ action }) => action.endsWith('/points/query'));
  assert.deepEqual(
    queries.map(({ outcome, sample }) => [outcome, sample]),
    [
      [200, 4],
      [200, 4],
      [200, 4],
      [404, undefined],
      [404, undefined],
      [404, undefined],
    ],
  );
  assert.equal(entries.filter(({ action }) => action.startsWith('PUT')).length, 4);
  assert.ok(
    entries.every(({ sample, action }) => sample === undefined || action.includes('query')),
  );
});

test('a delete says how many points it took away, whatever it was told', async (t) => {
  const rig = await startRig(t);
  await createSmall(rig);
  const points = [1, 2, 3, 4, 5].map((id) => ({ id, vector: VECTOR, payload: { n: id } }));
  await rig.call('PUT', '/collections/c/points', { points });
  const counts = new Map<string | null, number | undefined>();
  const call = async (deleted: number | undefined, method: string, path: string, body?: object) => {
    const { status, headers } = await rig.call(method, path, body);
    assert.equal(status, 200);
    counts.set(headers.get('x-request-id'), deleted);
    return headers.get('x-request-id');
  };
  const at = '/collections/c/points';
  await call(2, 'POST', `${at}/delete`, { points: [1, 2, 77] });
  await call(0, 'POST', `${at}/delete`, { points: [1] });
  await call(0, 'POST', `${at}/delete`, { points: [] });
  await call(undefined, 'POST', `${at}/payload`, { payload: { n: 1 }, points: [3] });
  await call(2, 'POST', `${at}/payload/clear`, { points: [3, 4] });
  await call(1, 'POST', `${at}/payload/delete`, { keys: ['n'], points: [5] });
  const operations = [{ delete: { points: [3] } }, { delete: { points: [4, 1] } }];
  await call(2, 'POST', `${at}/batch`, { operations });
  const last = await call(1, 'DELETE', '/collections/c');
  const entries = await entriesUntil(rig, last);
  for (const { action, request, deleted } of entries) {
    if (counts.has(request)) assert.equal(deleted, counts.get(request), action);
  }
  assert.equal(entries.filter(({ request }) => counts.has(request)).length, counts.size);
});

test('a collection that is deleted while its worker is away has no count', async (t) => {
  const rig = await startRig(t);
  await createSmall(rig);
  rig.worker.online = false;
  const { headers } = await rig.call('DELETE', '/collections/c?timeout=1');
  const requestId = headers.get('x-request-id');
  const entry = (await entriesUntil(rig, requestId)).find(({ request }) => request === requestId);
  assert.deepEqual([entry?.outcome, entry?.deleted], [200, undefined]);
});

test('the id that a trusted proxy gives is in the answer, the entry, and what the worker is told', async (t) => {
  const rig = await startRig(t, { trustedProxies: ['127.0.0.0/8', '::1'] });
  await createSmall(rig);
  const given = '7b0e8a3c93a14c5e8d0b5f2f0a8d9c11';
  const origins: string[] = [];
  rig.worker.interfere = (_name, deadline) => void origins.push(deadline.origin);
  const query = { query: VECTOR };
  const call = (id: string) => {
    return rig.call('POST', '/collections/c/points/query', query, { 'x-request-id': id });
  };
  assert.equal((await call(given)).headers.get('x-request-id'), given);
  assert.deepEqual(origins, [given]);
  const own = (await call('not "well" formed')).headers.get('x-request-id');
  assert.match(own ?? '', /^req_[a-z2-7]{16}$/);
  assert.deepEqual(origins, [given, own]);
  await entriesUntil(rig, own);
  assert.ok((await entriesUntil(rig, given)).some(({ request }) => request === given));
});
