/** What a client has used, over the admin API. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClientId, ShardId } from '../../shared/base/ids.ts';
import type { Mode } from '../../shared/domain/collection.ts';
import { AdminRig, type Reply } from './admin-rig.ts';

/** In hours; the rig's clock stands at 2023-11-14T22:13:20Z. */
const NOW = 472_222;
let shards = 0;

async function note(rig: AdminRig, client: string, hour: number, more: Partial<Noted> = {}) {
  const { mode = 'live', namespace = 'default', key = 'key_a', written = 1 } = more;
  const clientId = client.split('/').at(-1) as ClientId;
  shards += 1;
  await rig.ledger.append({
    kind: 'writes',
    shardId: `shard-${shards}` as ShardId,
    owner: { clientId, mode, namespace },
    after: 0,
    upTo: 1,
    sums: [{ key, hour, writes: 1, written, deleted: 2, bytes: 3 }],
    isLast: false,
  });
}

const STORED = { namespace: 'default', points: 10 };

async function store(rig: AdminRig, client: string, hour: number, bytes: number): Promise<void> {
  const clientId = client.split('/').at(-1) as ClientId;
  const place = { clientId, mode: 'live', namespace: 'default', collection: 'c' } as const;
  const storage = [{ ...place, points: 10, bytes, unknownShards: 0 }];
  await rig.ledger.append({ kind: 'census-rows', census: 'd', hour, storage, shards: [] });
}

interface Noted {
  mode: Mode;
  namespace: string;
  key: string;
  written: number;
}

const amounts = (writes: number, written: number) => ({
  writes,
  points_written: written,
  points_deleted: 2 * writes,
  bytes_written: 3 * writes,
});

const NO_REQUESTS = { requests: 0, queries: 0, units: 0, bytes_in: 0, bytes_out: 0 };

test('usage is that of the month so far by day, or of what is asked for', async (t) => {
  const rig = await AdminRig.start(t);
  const client = await rig.client();
  const other = await rig.client();
  await note(rig, client, NOW, { written: 5 });
  await note(rig, client, NOW - 1, { written: 7 });
  await note(rig, client, NOW - 24, { namespace: 'b' });
  await note(rig, client, NOW - 24 * 20);
  await note(rig, client, NOW, { mode: 'test', written: 100 });
  await note(rig, other, NOW, { written: 1_000 });
  await store(rig, client, NOW - (NOW % 24), 1_000);
  await store(rig, client, NOW - (NOW % 24) - 24, 500);
  await store(rig, other, NOW - (NOW % 24), 7);
  const { status, reply } = await rig.send('GET', `${client}/usage`);
  assert.equal(status, 200);
  assert.deepEqual(reply, {
    from: '2023-11-01T00:00:00.000Z',
    until: '2023-11-14T23:00:00.000Z',
    by: 'day',
    writes: [
      { start: '2023-11-13T00:00:00.000Z', namespace: 'b', key_id: 'key_a', ...amounts(1, 1) },
      {
        start: '2023-11-14T00:00:00.000Z',
        namespace: 'default',
        key_id: 'key_a',
        ...amounts(2, 12),
      },
    ],
    requests: [],
    stored: [
      { ...STORED, start: '2023-11-13T00:00:00.000Z', bytes: 500, byte_hours: '12000' },
      { ...STORED, start: '2023-11-14T00:00:00.000Z', bytes: 1_000, byte_hours: '24000' },
    ],
    total: { ...amounts(3, 13), ...NO_REQUESTS, byte_hours: '36000' },
  });
  const totalOf = async (query: string) => {
    const { reply } = await rig.send('GET', `${client}/usage?${query}`);
    return (reply.total as Reply).points_written;
  };
  assert.equal(await totalOf('mode=test'), 100);
  assert.equal(await totalOf('by=month&from=2023-01-01'), 14);
  assert.equal(await totalOf('by=hour&from=2023-11-14T22:59:59Z'), 5);
  assert.equal(await totalOf('by=hour&until=2023-11-14T22:00:00Z'), 8);
  assert.equal(await totalOf('until=2023-11-14T22:00:01Z'), 13);
});

test('what can not be asked for is said', async (t) => {
  const rig = await AdminRig.start(t);
  const client = await rig.client();
  for (const [query, field] of [
    ['from=yesterday', 'from'],
    ['from=2023-13-01', 'from'],
    ['until=1969-01-01', 'until'],
    ['from=2023-11-02&until=2023-11-01', 'until'],
    ['by=week', 'by'],
    ['mode=dead', 'mode'],
    ['month=1', 'month'],
  ] as const) {
    const { status, reply } = await rig.send('GET', `${client}/usage?${query}`);
    assert.deepEqual([status, reply.field], [400, field], query);
  }
  assert.equal((await rig.send('GET', '/clients/cl_aaaaaaaaaaaaaaaa/usage')).status, 404);
});
