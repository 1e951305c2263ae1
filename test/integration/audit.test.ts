/** The audit log through the real processes: what is in it, and what a client can prove with an export. */
import assert from 'node:assert/strict';
import { closeSync, globSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'better-sqlite3';
import { runCommand, runJson } from '../harness/run-command.ts';
import { type Service, startService } from '../harness/service.ts';
import { temporaryFolder } from '../harness/temporary-folder.ts';

interface Entry {
  sequence: number;
  action: string;
  actor: string;
  outcome: number | string;
  request: string;
  target: string;
  units: number;
}

async function entriesOf(service: Service, query = ''): Promise<Entry[]> {
  const response = await service.fetch('GET', `/v1/audit?limit=1000${query}`);
  assert.equal(response.status, 200);
  const { result } = (await response.json()) as { result: { entries: Entry[] } };
  return result.entries;
}

/** Once all that was done is there. */
async function untilEntry(service: Service, action: string): Promise<Entry[]> {
  for (let tries = 0; ; tries += 1) {
    const entries = await entriesOf(service);
    if (entries.some((entry) => entry.action === action)) return entries;
    assert.ok(tries < 100, `no entry of ${action} came`);
    await sleep(50);
  }
}

test('each request is in the chain of its client, with the id that its answer had', async (t) => {
  const service = await startService(t);
  const vectors = { size: 2, distance: 'Dot' };
  await service.fetch('PUT', '/collections/docs', { vectors });
  const points = [{ id: 1, vector: [1, 2], payload: { secret: 'do not tell' } }];
  const written = await service.fetch('PUT', '/collections/docs/points', { points });
  const query = await service.fetch('POST', '/collections/docs/points/query', { query: [1, 2] });
  const missing = await service.fetch('GET', '/collections/none');
  const entries = await untilEntry(service, 'GET /collections/:collection');
  const byRequest = new Map(entries.map((entry) => [entry.request, entry]));
  const idOf = (response: Response) => String(response.headers.get('x-request-id'));
  const write = byRequest.get(idOf(written));
  assert.deepEqual(
    [write?.action, write?.target, write?.outcome],
    ['PUT /collections/:collection/points', 'default/docs', 200],
  );
  assert.equal(byRequest.get(idOf(query))?.units, 1);
  assert.equal(byRequest.get(idOf(missing))?.outcome, 404);
  // The first key was made by "up", and the client hears of it.
  const text = JSON.stringify(await untilEntry(service, 'key.create'));
  assert.ok(!text.includes('do not tell') && !text.includes(service.key));
  const filtered = await entriesOf(service, '&action=key.create');
  assert.ok(filtered.length > 0 && filtered.every(({ action }) => action === 'key.create'));
});

test('an export is verified without the service, after kills too, and an edit is found', async (t) => {
  const service = await startService(t);
  for (let round = 0; round < 2; round += 1) {
    await Promise.all(Array.from({ length: 20 }, () => service.fetch('GET', '/collections')));
    await service.killAndWait('coordinator');
  }
  // What a name had that was refused stands in the entry as it is.
  assert.equal((await service.fetch('GET', '/collections/a%E2%80%A8b')).status, 400);
  await untilEntry(service, 'GET /v1/audit');
  const folder = temporaryFolder(t);
  const [exported, key] = [path.join(folder, 'export.jsonl'), path.join(folder, 'key.pem')];
  const response = await service.fetch('GET', '/v1/audit/export');
  assert.equal(response.headers.get('content-type'), 'application/x-ndjson');
  writeFileSync(exported, await response.text());
  const shown = (await (await service.fetch('GET', '/v1/audit/key')).json()) as {
    result: { public_key: string };
  };
  writeFileSync(key, shown.result.public_key);
  const verify = (file: string, ...more: string[]) => {
    return runCommand(['audit', 'verify', file, '--key', key, ...more]);
  };
  const good = await verify(exported);
  assert.equal(good.code, 0, good.stderr);
  assert.match(good.stdout, /entries of the chain cl_\w+ are as they were signed/);
  const changed = path.join(folder, 'changed.jsonl');
  writeFileSync(changed, readFileSync(exported, 'utf8').replace('"outcome":200', '"outcome":201'));
  const bad = await verify(changed);
  assert.deepEqual([bad.code, bad.stdout], [1, '']);
  assert.match(bad.stderr, /not good: line \d+: entry \d+ is not what was hashed/);

  await service.stop();
  const anchors = path.join(service.dataFolder, 'coordinator', 'audit-anchors-000001.jsonl');
  const unsigned = await verify(exported, '--known', key);
  assert.equal(unsigned.code, 1);
  assert.match(unsigned.stderr, /has nothing that was signed by the key/);
  const whole = await runCommand(['audit', 'verify-anchors', path.dirname(anchors), '--key', key]);
  assert.equal(whole.code, 0, whole.stderr);
  assert.match(whole.stdout, /files 1 to 1 are as they were written: [1-9]\d* anchors/);

  // Somebody with the disk cuts the chain short, and hashes are right again.
  const db = new Database(path.join(service.dataFolder, 'coordinator', 'ledger.db'));
  db.exec(`DELETE FROM audit_pages WHERE page = (SELECT max(page) FROM audit_pages WHERE chain LIKE 'cl_%');
    UPDATE audit_chains SET sequence = (SELECT max(last) FROM audit_pages AS p WHERE p.chain = audit_chains.chain),
      hash = (SELECT hash FROM audit_pages AS p WHERE p.chain = audit_chains.chain ORDER BY last DESC LIMIT 1)`);
  db.close();
  const again = await startService(t, { data: service.data });
  assert.ok(again.up.log.includes('"event":"audit_broken"'));
  const cut = path.join(folder, 'cut.jsonl');
  writeFileSync(cut, await (await again.fetch('GET', '/v1/audit/export')).text());
  assert.equal((await verify(cut, '--known', anchors)).code, 1);
  // It went on from there, and the anchors tell of it.
  await again.stop();
  const told = await runCommand(['audit', 'verify-anchors', path.dirname(anchors), '--key', key]);
  assert.equal(told.code, 1);
  assert.match(
    told.stderr,
    /file 1, line \d+: cl_\w+ ends with entry \d+, and entry \d+ was signed/,
  );
});

test("operators have a chain of their own: changes, and a minute's keys that are none", async (t) => {
  const service = await startService(t);
  await runJson(service, ['client', 'create', 'Ada']);
  for (let i = 0; i < 3; i += 1) {
    await fetch(`${service.url}/collections`, { headers: { 'api-key': 'bh_live_nonsense' } });
  }
  // What is left of a minute is written at the end.
  await service.stop();
  const again = await startService(t, { data: service.data });
  const folder = temporaryFolder(t);
  const environment = ['--env-file', again.envFile, '--admin-url', again.adminUrl];
  const printed = await runCommand(['audit', 'export', ...environment]);
  assert.equal(printed.code, 0, printed.stderr);
  const [exported, key] = [path.join(folder, 'export.jsonl'), path.join(folder, 'key.pem')];
  writeFileSync(exported, printed.stdout);
  writeFileSync(key, (await runCommand(['audit', 'key', ...environment])).stdout);
  const verified = await runCommand(['audit', 'verify', exported, '--key', key]);
  assert.equal(verified.code, 0, verified.stderr);
  const entries = printed.stdout
    .split('\n')
    .filter((line) => line.includes('"sequence"'))
    .map((line) => JSON.parse(line) as Entry & { count?: number });
  assert.ok(entries.some(({ action }) => action === 'client.create'));
  const refused = entries.find(({ action }) => action === 'key.refused');
  assert.deepEqual([refused?.count, refused?.actor], [3, '127.0.0.1']);
});

test("one id is in the proxy's request, its answer, the audit entry and the worker's log", async (t) => {
  const env = { BULKHEAD_TRUSTED_PROXIES: '127.0.0.0/8,::1' };
  const service = await startService(t, { workers: 1, env });
  await service.fetch('PUT', '/collections/docs', { vectors: { size: 2, distance: 'Dot' } });
  const points = [{ id: 1, vector: [1, 2], payload: { text: 'what was written' } }];
  await service.fetch('PUT', '/collections/docs/points', { points });
  damage(service.dataFolder, 'what was written');
  const id = '7b0e8a3c93a14c5e8d0b5f2f0a8d9c11';
  const headers = { 'api-key': service.key, 'x-request-id': id };
  const answer = await fetch(`${service.url}/collections/docs/points/1`, { headers });
  assert.equal(answer.headers.get('x-request-id'), id);
  assert.equal(answer.status, 503);
  const entries = await untilEntry(service, 'GET /collections/:collection/points/:id');
  const entry = entries.find(({ request }) => request === id);
  assert.deepEqual(
    [entry?.action, entry?.outcome],
    ['GET /collections/:collection/points/:id', 503],
  );
  const lines = service.up.log.split('\n').filter((line) => line.includes('"shard_damaged"'));
  assert.match(lines.join(), new RegExp(`"requestId":"${id}"`));
});

/** Changes this text wherever it stands in the rows of a shard. */
function damage(dataFolder: string, text: string): void {
  for (const file of globSync(path.join(dataFolder, 'worker-1', 'clients', '**', 'points.db*'))) {
    const bytes = readFileSync(file);
    const at = bytes.indexOf(text);
    if (at < 0) continue;
    const descriptor = openSync(file, 'r+');
    writeSync(descriptor, 'W', at);
    closeSync(descriptor);
  }
}
