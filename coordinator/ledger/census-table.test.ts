/** What censuses leave in the ledger: stored amounts by period, records, and what shards were last known to hold. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClientId, ShardId } from '../../shared/base/ids.ts';
import { SyncLedger } from '../../test/harness/sync-ledger.ts';
import { temporaryFolder } from '../../test/harness/temporary-folder.ts';
import type { CensusRecord, CensusRowsEntry, StorageRow } from './entries.ts';

const CLIENT = 'cl_aaaaaaaaaaaaaaaa' as ClientId;
const HOUR = 24 * 20_000;
const row = (collection: string, bytes: number, more: Partial<StorageRow> = {}): StorageRow => {
  const place = { clientId: CLIENT, mode: 'live', namespace: 'default', collection } as const;
  return { ...place, points: 1, bytes, unknownShards: 0, ...more };
};
const rows = (census: string, hour: number | null, storage: StorageRow[]): CensusRowsEntry => {
  return { kind: 'census-rows', census, hour, storage, shards: [] };
};
const record = (census: string, more: Partial<CensusRecord> = {}): CensusRecord => {
  const kind = { day: census.slice(0, 10), kind: 'scheduled', state: 'complete' } as const;
  const [times, file] = [
    { startedAt: 1, finishedAt: 2 },
    { file: 'f', sha256: 's' },
  ];
  const counts = { clients: 1, collections: 1, shards: 1, unknownShards: 0 };
  const sums = { points: 1, bytes: 1, memoryBytes: 1, diskBytes: 1 };
  return { census, ...kind, ...times, ...file, ...counts, ...sums, ...more };
};
const ALL = { clientId: CLIENT, mode: 'live', namespaces: null, limit: 99 } as const;

test('each day counts 24 hours of its bytes, leap days and sums beyond 2^53 too', async (t) => {
  const ledger = new SyncLedger(t, temporaryFolder(t));
  const hourOf = (day: string) => Date.parse(`${day}T00:00:00Z`) / 3_600_000;
  const large = 2 ** 50;
  for (const [day, bytes] of [
    ['2028-02-28', large],
    ['2028-02-29', large + 1],
    ['2028-03-01', 7],
  ] as const) {
    const others = [row('y', 5), row('x', 3, { namespace: 'b' }), row('x', 99, { mode: 'test' })];
    await ledger.append(rows(day, hourOf(day), [row('x', bytes), ...others]));
  }
  const span = { ...ALL, from: hourOf('2028-01-01'), until: hourOf('2028-12-31') };
  const months = await ledger.ask('storage-usage', { ...span, by: 'month' });
  assert.deepEqual(months, [
    { start: hourOf('2028-02-01'), namespace: 'b', points: 1, bytes: 3, byteHours: 144n },
    {
      start: hourOf('2028-02-01'),
      namespace: 'default',
      points: 2,
      bytes: large + 6,
      byteHours: 24n * (2n * BigInt(large) + 11n),
    },
    { start: hourOf('2028-03-01'), namespace: 'b', points: 1, bytes: 3, byteHours: 72n },
    { start: hourOf('2028-03-01'), namespace: 'default', points: 2, bytes: 12, byteHours: 288n },
  ]);
  const days = await ledger.ask('storage-usage', { ...span, by: 'day', namespaces: ['default'] });
  assert.deepEqual(
    days.map(({ bytes }) => bytes),
    [large + 5, large + 6, 12],
  );
  const test = await ledger.ask('storage-usage', { ...span, by: 'month', mode: 'test' });
  assert.equal(test[0]?.byteHours, 24n * 198n);
});

test('what is entered again changes nothing, and nothing changes once the record is there', async (t) => {
  const ledger = new SyncLedger(t, temporaryFolder(t));
  const stored = () => ledger.ask('census-storage', { ...ALL, hour: HOUR });
  await ledger.append(rows('d', HOUR, [row('x', 3)]));
  await ledger.append(rows('d', HOUR, [row('x', 4), row('y', 5)]));
  const both = [row('x', 4), row('y', 5)];
  assert.deepEqual(await stored(), both);
  await ledger.append({ kind: 'census', record: record('d') });
  await ledger.append(rows('d', HOUR, [row('x', 9)]));
  await ledger.append({ kind: 'census', record: record('d', { points: 9 }) });
  assert.deepEqual(await stored(), both);
  assert.deepEqual(await ledger.ask('census', 'd'), record('d'));
  await ledger.append(rows('d.01', null, [row('z', 9)]));
  assert.deepEqual(await stored(), both, 'one on demand is no day');
});

test('censuses are listed from the newest, and the last of a day is known', async (t) => {
  const ledger = new SyncLedger(t, temporaryFolder(t));
  assert.equal(await ledger.ask('census-last', undefined), undefined);
  for (const census of ['2026-11-26', '2026-11-27', '2026-11-27.01', '2026-11-27.10']) {
    const kind = census.includes('.') ? 'on_demand' : 'scheduled';
    await ledger.append({ kind: 'census', record: record(census, { kind }) });
  }
  const names = async (before: string | null, limit: number) => {
    return (await ledger.ask('census-list', { before, limit })).map(({ census }) => census);
  };
  assert.deepEqual(await names(null, 2), ['2026-11-27.10', '2026-11-27.01']);
  assert.deepEqual(await names('2026-11-27.01', 9), ['2026-11-27', '2026-11-26']);
  assert.equal((await ledger.ask('census-last', undefined))?.census, '2026-11-27');
});

test('of a shard the highest version is known, until the shard is gone', async (t) => {
  const ledger = new SyncLedger(t, temporaryFolder(t));
  const shardId = 's' as ShardId;
  const known = () => ledger.ask('census-shards', [shardId, 'other' as ShardId]);
  const learn = async (census: string, version: number, at: number) => {
    const shard = { shardId, at, version, points: version, bytes: version };
    await ledger.append({ ...rows(census, null, []), shards: [shard] });
    return shard;
  };
  const second = await learn('b', 2, 20).then(() => learn('c', 2, 30));
  await learn('a', 1, 40);
  assert.deepEqual(await known(), [second]);
  await ledger.append({ kind: 'forget', shardIds: [shardId] });
  assert.deepEqual(await known(), []);
});
