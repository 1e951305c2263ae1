/** The census through the real processes: taken, fetched and verified, and there once whatever dies. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { runCommand, runJson } from '../harness/run-command.ts';
import { startService } from '../harness/service.ts';
import { temporaryFolder } from '../harness/temporary-folder.ts';

const POINTS = 20;
/** A vector of two components, and {"n":10} or one digit less. */
const BYTES = POINTS * (8 + 8) - 10;

test('a census tells of every copy, is archived and verified, and a killed coordinator takes it up', async (t) => {
  const service = await startService(t);
  const place = { vectors: { size: 2, distance: 'Dot' }, replication_factor: 2, shard_number: 2 };
  await service.fetch('PUT', '/collections/c', place);
  const points = Array.from({ length: POINTS }, (_, n) => ({
    id: n,
    vector: [1, n],
    payload: { n },
  }));
  assert.equal((await service.fetch('PUT', '/collections/c/points', { points })).status, 200);

  const [asked] = await runJson(service, ['census', 'take']);
  await service.killAndWait('coordinator');
  const shown = async () => (await runJson(service, ['census', 'show', String(asked?.census)]))[0];
  let taken = await shown();
  while (taken?.state === 'under_way') taken = await shown();
  assert.deepEqual(
    [taken?.state, taken?.points, taken?.bytes, taken?.shards],
    ['complete', POINTS, BYTES, 2],
    JSON.stringify(taken),
  );
  const [collection] = await runJson(service, [
    'census',
    'show',
    String(asked?.census),
    '--client',
    'first',
  ]);
  const shards = collection?.shard_list as { replicas: { disk_bytes: number }[] }[];
  assert.ok(shards.every(({ replicas }) => replicas.length === 2));
  assert.ok(shards.every(({ replicas }) => replicas.every(({ disk_bytes }) => disk_bytes > 4_096)));

  const list = await runJson(service, ['census', 'list']);
  const kinds = list.map(({ kind }) => kind).toSorted();
  assert.deepEqual(kinds, ['on_demand', 'scheduled'], 'and that of the day');
  const folder = temporaryFolder(t);
  const [fetched] = await runJson(service, ['census', 'export', '--to', folder]);
  const key = join(folder, 'key.pem');
  const where = ['--env-file', service.envFile, '--admin-url', service.adminUrl];
  writeFileSync(key, (await runCommand(['census', 'key', ...where])).stdout);
  const verify = (file: string) => runCommand(['census', 'verify', file, '--key', key]);
  const good = await verify(String(fetched?.file));
  assert.equal(good.code, 0, good.stderr);
  assert.match(good.stdout, /is as it was sealed at/);
  const bytes = readFileSync(String(fetched?.file));
  bytes[10] = (bytes[10] ?? 0) ^ 1;
  const edited = join(folder, 'edited.jsonl.zst');
  writeFileSync(edited, bytes);
  const bad = await verify(edited);
  assert.equal(bad.code, 1);
  assert.match(bad.stderr, /is not good: its content is not what was sealed/);

  // That of the day may have come before the points.
  const day = list.find(({ kind }) => kind === 'scheduled');
  const response = await service.fetch('GET', '/v1/census');
  const { result } = (await response.json()) as { result: { total: object } };
  assert.deepEqual(result.total, { points: day?.points, bytes: day?.bytes });
  const files = readdirSync(join(service.dataFolder, 'coordinator', 'census'));
  assert.equal(files.length, 2, files.join());
});
