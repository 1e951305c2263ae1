/** The command line against the real processes. */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { test } from 'node:test';
import { runCommand, runJson } from '../harness/run-command.ts';
import { startService } from '../harness/service.ts';

const LIMIT = (value: number | '') => ['--limit', `requests_per_second=${value}`];
const COLLECTION = { vectors: { size: 2, distance: 'Dot' } } as const;

test('clients and keys are made, listed and revoked; a revoked key is refused at once', async (t) => {
  const service = await startService(t);
  assert.equal(statSync(service.envFile).mode & 0o777, 0o600);
  const [created] = await runJson(service, ['client', 'create', 'Ada & sons']);
  const clientId = String(created?.client_id);
  assert.match(clientId, /^cl_[a-z2-7]{16}$/);
  const clients = await runJson(service, ['client', 'list']);
  assert.deepEqual(clients.map(({ name }) => name).toSorted(), ['Ada & sons', 'first']);

  const [key] = await runJson(service, ['key', 'create', clientId, '--name', 'laptop']);
  assert.match(String(key?.key), /^bh_live_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}$/);
  const [testKey] = await runJson(service, ['key', 'create', clientId, '--test']);
  assert.match(String(testKey?.key), /^bh_test_/);
  const listed = await runJson(service, ['key', 'list', clientId]);
  assert.equal(listed.length, 2);
  assert.ok(
    listed.every((row) => !('key' in row)),
    'a listing never shows a key',
  );

  const ada = service.client(String(key?.key));
  await ada.createCollection('hers', COLLECTION);
  assert.equal((await service.client().getCollections()).collections.length, 0);
  assert.equal((await service.client(String(testKey?.key)).getCollections()).collections.length, 0);
  await runJson(service, ['key', 'revoke', clientId, String(key?.key_id)]);
  await assert.rejects(ada.getCollections(), { status: 401 });

  const [status] = await runJson(service, ['status']);
  assert.deepEqual(status?.workers, { known: 2, connected: 2 });
  const workers = status?.worker_list;
  assert.ok(Array.isArray(workers) && workers.length === 2);
});

test('clients are put on plans, limited, suspended and resumed', async (t) => {
  const service = await startService(t);
  const [made] = await runJson(service, ['plan', 'set', 'gold', '--from', 'free', ...LIMIT(70)]);
  assert.match(JSON.stringify(made?.limits), /"requests_per_second":70\b/);
  const [created] = await runJson(service, ['client', 'create', 'Ada', '--plan', 'gold']);
  const clientId = String(created?.client_id);
  const [limited] = await runJson(service, ['client', 'set', clientId, ...LIMIT(5)]);
  assert.deepEqual(limited?.overrides, { requests_per_second: 5 });
  const [freed] = await runJson(service, ['client', 'set', clientId, ...LIMIT(''), '--name', 'B']);
  assert.deepEqual([freed?.overrides, freed?.name, freed?.plan], [{}, 'B', 'gold']);

  const [key] = await runJson(service, ['key', 'create', clientId]);
  const hers = service.client(String(key?.key));
  await hers.createCollection('hers', COLLECTION);
  await runJson(service, ['client', 'suspend', clientId, '--reason', 'unpaid']);
  await assert.rejects(hers.getCollections(), { status: 401 });
  const [shown] = await runJson(service, ['client', 'show', clientId]);
  assert.deepEqual([shown?.state, shown?.reason], ['suspended', 'unpaid']);
  await runJson(service, ['client', 'resume', clientId]);
  await runJson(service, ['client', 'set', clientId, '--plan', 'standard']);
  const removed = await runJson(service, ['plan', 'remove', 'gold', '--yes']);
  assert.deepEqual(removed, [made]);
  const plans = await runJson(service, ['plan', 'list']);
  assert.deepEqual(
    plans.map(({ plan }) => plan),
    ['dedicated', 'free', 'standard'],
  );
});

test('commands say what is wrong in a sentence', async (t) => {
  const service = await startService(t);
  const where = ['--env-file', service.envFile, '--admin-url', service.adminUrl];
  const cases: [string[], RegExp][] = [
    [['key', 'create', 'cl_aaaaaaaaaaaaaaaa', ...where], /no such client/],
    [['client', 'create', ' ', ...where], /name/],
    [['client', 'create', 'a', '--plan', 'gold', ...where], /plan/],
    [['client', 'set', 'cl_aaaaaaaaaaaaaaaa', ...where], /nothing to set/],
    [['client', 'set', 'cl_aaaaaaaaaaaaaaaa', '--limit', 'points', ...where], /NAME=NUMBER/],
    [['client', 'suspend', 'cl_aaaaaaaaaaaaaaaa', ...where], /--reason/],
    [['plan', 'set', 'free', '--limit', 'pionts=5', ...where], /pionts/],
    [['plan', 'remove', 'free', ...where], /--yes/],
    [['client', 'list', '--env-file', '/nowhere/bulkhead.env'], /does not exist/],
    [
      ['client', 'list', '--env-file', service.envFile, '--admin-url', 'http://127.0.0.1:1'],
      /no service answers at http:\/\/127\.0\.0\.1:1/,
    ],
    [['up', '--data', service.dataFolder], /another bulkhead up already runs/],
    [['up', '--port', 'many'], /integer/],
    [['fly'], /unknown command/],
  ];
  for (const [args, sentence] of cases) {
    const { code, stdout, stderr } = await runCommand(args);
    assert.equal(code, 1, args.join(' '));
    assert.match(stderr, sentence);
    assert.doesNotMatch(stderr, /\n {4}at /, 'no stack');
    assert.equal(stdout, '');
  }
});

test('a drain loses nothing that was acknowledged, and a new start serves it', async (t) => {
  const service = await startService(t);
  const client = service.client();
  await client.createCollection('kept', COLLECTION);
  const acknowledged = new Set<number>();
  const writers = Array.from({ length: 8 }, async (_, writer) => {
    for (let id = writer; ; id += 8) {
      try {
        await client.upsert('kept', { wait: true, points: [{ id, vector: [id, 1] }] });
      } catch {
        return; // the service is going away
      }
      acknowledged.add(id);
    }
  });
  while (acknowledged.size < 50) await new Promise((resume) => setImmediate(resume));
  assert.deepEqual(await service.stop('SIGINT'), { code: 0, signal: null });
  assert.equal(service.up.events.at(-1)?.event, 'stopped');
  await Promise.all(writers);

  const again = await startService(t, { data: service.data });
  const ids = [...acknowledged];
  const found = await again.client().retrieve('kept', { ids, with_vector: true });
  assert.equal(found.length, ids.length);
  for (const { id, vector } of found) assert.deepEqual(vector, [id, 1]);
});

test('a process that dies is restarted on its address; a second signal ends all of them', async (t) => {
  const service = await startService(t);
  const client = service.client();
  await client.createCollection('there', COLLECTION);
  await client.upsert('there', { wait: true, points: [{ id: 1, vector: [1, 2] }] });
  for (const name of ['coordinator', ...service.workerNames]) {
    await service.killAndWait(name);
    const { points } = await client.query('there', { query: [1, 1], limit: 5 });
    assert.deepEqual(
      points.map(({ id, score }) => [id, score]),
      [[1, 3]],
    );
  }
  const pids = ['coordinator', ...service.workerNames].map((name) => service.pidOf(name));
  process.kill(service.pidOf('coordinator'), 'SIGSTOP'); // so that the drain takes for ever
  service.up.signal('SIGINT');
  await service.up.waitFor('stopping');
  await new Promise((resume) => setTimeout(resume, 500));
  service.up.signal('SIGINT');
  assert.equal((await service.up.exited).code, 130);
  for (const pid of pids) assert.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
});
