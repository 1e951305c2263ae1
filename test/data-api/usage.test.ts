/** What requests come to: in their answers, and afterwards. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CLIENT_A, CLIENT_B, createSmall, type DataRig, startRig } from './data-rig.ts';

const VECTOR = [1, 0, 0, 0];
const VECTOR_BYTES = 16;

interface Row {
  route: string;
  status: number;
  requests: number;
  queries: number;
  units: number;
  bytes_in: number;
  bytes_out: number;
}

/** By route and status, as soon as so many requests are in it. */
async function usageOf(rig: DataRig, requests: number): Promise<Map<string, Row>> {
  for (;;) {
    const { json } = await rig.call('GET', '/v1/usage?by=month');
    const rows = (json.result.requests as Row[]).filter(({ route }) => route !== 'account');
    if (rows.reduce((sum, row) => sum + row.requests, 0) >= requests) {
      return new Map(rows.map((row) => [`${row.route} ${row.status}`, row]));
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function fill(rig: DataRig): Promise<void> {
  await createSmall(rig);
  const points = [1, 2, 3].map((id) => ({ id, vector: VECTOR, payload: { n: id } }));
  await rig.call('PUT', '/collections/c/points', { points });
}

test('an answer says what its request came to', async (t) => {
  const rig = await startRig(t);
  await createSmall(rig);
  const hardwareOf = async (method: string, path: string, body?: unknown) => {
    const { status, json } = await rig.call(method, path, body);
    assert.equal(status, 200, JSON.stringify(json));
    return json.usage.hardware;
  };
  const none = {
    cpu: 1,
    payload_io_read: 0,
    payload_io_write: 0,
    payload_index_io_read: 0,
    payload_index_io_write: 0,
    vector_io_read: 0,
    vector_io_write: 0,
  };
  const points = [1, 2].map((id) => ({ id, vector: VECTOR, payload: { n: id } }));
  assert.deepEqual(await hardwareOf('PUT', '/collections/c/points', { points }), {
    ...none,
    payload_io_write: 2 * 7,
    vector_io_write: 2 * VECTOR_BYTES,
  });
  const query = { query: VECTOR, limit: 10, with_payload: true, with_vector: true };
  assert.deepEqual(await hardwareOf('POST', '/collections/c/points/query', query), {
    ...none,
    payload_io_read: 2 * 7,
    vector_io_read: 2 * VECTOR_BYTES,
  });
  const payload = { payload: { a: 1 }, points: [1, 2] };
  const set = await hardwareOf('POST', '/collections/c/points/payload', payload);
  assert.equal(set.payload_io_write, 2 * 7);
  const searches = Array(100).fill({ query: VECTOR, limit: 1 });
  const batch = await hardwareOf('POST', '/collections/c/points/query/batch', { searches });
  assert.ok(batch.cpu >= 100, `${batch.cpu} units`);
});

test('requests are counted by route and status, queries by what was answered', async (t) => {
  const rig = await startRig(t);
  await fill(rig);
  const searches = Array(5).fill({ query: VECTOR, limit: 1 });
  await rig.call('POST', '/collections/c/points/query', { query: VECTOR });
  await rig.call('POST', '/collections/c/points/query/batch', { searches });
  await rig.call('POST', '/collections/c/points/query', { query: [1, 2] });
  await rig.call('POST', '/collections/c/points/count', {});
  await rig.call('POST', '/collections/c/points', { ids: [1, 2, 3] });
  await rig.call('POST', '/collections/c/points/scroll', {});
  await rig.call('GET', '/collections/none');
  await rig.call('GET', '/nowhere');
  const usage = await usageOf(rig, 10);
  const brief = [...usage].map(([place, { requests, queries }]) => [place, requests, queries]);
  assert.deepEqual(brief.toSorted(), [
    ['collections 200', 1, 0],
    ['collections 404', 1, 0],
    ['none 404', 1, 0],
    ['query 200', 3, 7],
    ['query 400', 1, 0],
    ['read 200', 2, 2],
    ['write 200', 1, 0],
  ]);
  const queries = usage.get('query 200');
  assert.ok(queries !== undefined);
  const { units, bytes_in, bytes_out } = queries;
  assert.ok(units >= 7 && bytes_in > 150 && bytes_out > 300, JSON.stringify(queries));
  assert.equal(usage.get('query 400')?.units, 0);
});

test('a request beyond the rate is counted and costs nothing', async (t) => {
  const rig = await startRig(t, { limits: { requests_per_second: 1, burst: 3 } });
  const statuses: number[] = [];
  for (let i = 0; i < 6; i += 1) statuses.push((await rig.call('GET', '/collections')).status);
  const refused = statuses.filter((status) => status === 429).length;
  assert.ok(refused >= 2, statuses.join());
  const usage = new Map<number, Row>();
  while ([...usage.values()].reduce((sum, { requests }) => sum + requests, 0) < 6) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    const span = { clientId: CLIENT_A, mode: 'live', namespaces: null } as const;
    const rows = await rig.ledger.ask('request-usage', {
      ...span,
      from: 0,
      until: 1_000_000,
      by: 'month',
      limit: 100,
    });
    for (const row of rows) usage.set(row.status, { ...row, bytes_in: 0, bytes_out: 0 });
  }
  assert.deepEqual([usage.get(429)?.requests, usage.get(429)?.units], [refused, 0]);
});

test('when what requests use can not be recorded, requests are refused', async (t) => {
  const rig = await startRig(t);
  Object.defineProperty(rig.ledger, 'isFull', { value: true });
  const { status, headers, json } = await rig.call('GET', '/collections');
  assert.deepEqual([status, json.code], [503, 'overloaded']);
  assert.ok(Number(headers.get('retry-after')) >= 1);
});

test("a client sees its own part of the last day's census, of the key's mode and namespaces", async (t) => {
  const rig = await startRig(t);
  const ask = async (key: string) => {
    return (await rig.call('GET', '/v1/census', undefined, { 'api-key': key })).json.result;
  };
  const nothing = { day: null, finished_at: null, sha256: null, collections: [] };
  assert.deepEqual(await ask('a-live'), { ...nothing, total: { points: 0, bytes: 0 } });
  const { shards, census } = rig.census;
  shards.add(CLIENT_A, 'x', 10);
  shards.add(CLIENT_A, 'y', 5, { namespace: 'eu' });
  shards.add(CLIENT_A, 'z', 3, { mode: 'test' });
  shards.add(CLIENT_B, 'x', 7);
  census.start();
  census.soon();
  const of = async (key: string) => {
    const { collections, total, ...rest } = await ask(key);
    const names = (collections as { collection: string }[]).map(({ collection }) => collection);
    assert.deepEqual(Object.keys(rest), ['day', 'finished_at', 'sha256']);
    return [...names, total.points];
  };
  while ((await ask('a-live')).day === null)
    await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(await of('a-live'), ['x', 10]);
  assert.deepEqual(await of('a-live-regions'), ['y', 5]);
  assert.deepEqual(await of('a-live-everywhere'), ['x', 'y', 15]);
  assert.deepEqual(await of('a-test'), ['z', 3]);
  assert.deepEqual(await of('b-live'), ['x', 7]);
  const { json } = await rig.call('GET', '/v1/usage?by=month', undefined, { 'api-key': 'b-live' });
  assert.deepEqual(
    [json.result.stored[0].bytes, json.result.total.byte_hours],
    [84, String(24 * 84)],
  );
});
