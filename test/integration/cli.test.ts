/** The command line against the real processes. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { runCommand, runJson } from '../harness/run-command.ts';
import { BULKHEAD, startService } from '../harness/service.ts';
import { temporaryFolder } from '../harness/temporary-folder.ts';

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
  const keyId = String(key?.key_id);
  await runJson(service, ['key', 'revoke', 'Ada & sons', keyId, '--yes']);
  await assert.rejects(ada.getCollections(), { status: 401 });

  const [status] = await runJson(service, ['status']);
  assert.deepEqual(status?.workers, { known: 2, connected: 2 });
  const workers = status?.worker_list;
  assert.ok(Array.isArray(workers) && workers.length === 2);
});

test('keys are bound, changed and rotated, and clients erased', async (t) => {
  const service = await startService(t);
  await runJson(service, ['client', 'create', 'Ada']);
  const bound = ['--role', 'reader', '--namespace', 'eu', '--namespace', 'us', '--rate', '7'];
  const [made] = await runJson(service, ['key', 'create', 'Ada', ...bound, '--expires', '90d']);
  assert.deepEqual(
    [made?.role, made?.namespaces, made?.requests_per_second],
    ['reader', ['eu', 'us'], 7],
  );
  const days = (Date.parse(String(made?.expires_at)) - Date.now()) / 86_400_000;
  assert.ok(days > 89.9 && days <= 90, `${days}`);
  const keyId = String(made?.key_id);
  const freer = ['--all-namespaces', '--rate', 'none', '--expires', 'never', '--role', 'admin'];
  const [set] = await runJson(service, ['key', 'set', 'Ada', keyId, ...freer]);
  assert.deepEqual(
    [set?.namespaces, set?.requests_per_second, set?.expires_at],
    [null, null, null],
  );
  const [rotated] = await runJson(service, ['key', 'rotate', 'Ada', keyId, '--grace', '30m']);
  const works = async (key: unknown) => {
    const { status } = await fetch(`${service.url}/collections`, {
      headers: { 'api-key': `${key}` },
    });
    return status === 200;
  };
  assert.deepEqual([await works(made?.key), await works(rotated?.key)], [true, true]);
  await runJson(service, ['key', 'set', 'Ada', keyId, '--grace', 'now', '--yes']);
  assert.deepEqual([await works(made?.key), await works(rotated?.key)], [false, true]);
  const [shown] = await runJson(service, ['key', 'show', 'Ada', keyId]);
  assert.match(JSON.stringify(shown?.secrets), /^\[\{[^{}]+\}\]$/, 'one secret');
  const workers = await runJson(service, ['worker', 'list']);
  const [worker] = await runJson(service, ['worker', 'show', String(workers[0]?.worker_id)]);
  assert.equal(worker?.connected, true);
  const [deleted] = await runJson(service, ['client', 'delete', 'Ada', '--yes']);
  assert.deepEqual([deleted?.state, await works(rotated?.key)], ['deleting', false]);
  const log = await runJson(service, ['audit', 'list', '--target', keyId]);
  const actions = log.map(({ action }) => action);
  assert.deepEqual(actions, ['key.create', 'key.update', 'key.rotate', 'key.update']);
  await runJson(service, ['client', 'resume', 'Ada']);
  assert.equal(await works(rotated?.key), true);
  await runJson(service, ['client', 'delete', 'Ada', '--grace', 'now', '--yes']);
});

test('what a client has written is shown, also of what it has deleted', async (t) => {
  const service = await startService(t);
  const [created] = await runJson(service, ['client', 'create', 'Ada']);
  const [key] = await runJson(service, ['key', 'create', 'Ada']);
  const hers = service.client(String(key?.key));
  await hers.createCollection('hers', COLLECTION);
  const points = [1, 2, 3].map((id) => ({ id, vector: [1, 2] }));
  await hers.upsert('hers', { points });
  await hers.delete('hers', { points: [1, 99] });
  await hers.deleteCollection('hers');
  // It is there before the collection's files are gone.
  const rows = await runJson(service, ['usage', String(created?.client_id)]);
  // The census of the day may have met the collection.
  const [row, ...others] = rows.filter(({ stored_points }) => stored_points === undefined);
  assert.match(String(row?.start), /^\d{4}-\d\d-\d\dT00:00:00.000Z$/);
  assert.deepEqual(others, []);
  assert.deepEqual([row?.namespace, row?.key_id], ['default', key?.key_id]);
  const amounts = [row?.writes, row?.points_written, row?.points_deleted, row?.bytes_written];
  assert.deepEqual(amounts, [2, 3, 1, 24]);
  assert.deepEqual(await runJson(service, ['usage', 'Ada', '--mode', 'test']), []);
  const lines = await runJson(service, ['statement', 'Ada', '--by', 'key']);
  const [fee, written] = lines.filter(({ item }) => item === 'plan' || item === 'points_written');
  assert.match(String(fee?.quantity), /^[12]$/);
  assert.deepEqual([written?.quantity, written?.key_id], ['3', key?.key_id]);
  const month = String(fee?.from).slice(0, 7);
  const [draft] = await runJson(service, ['invoice', 'show', month, '--client', 'Ada']);
  assert.deepEqual([draft?.state, draft?.invoice, draft?.client_name], ['draft', null, 'Ada']);
  assert.deepEqual(await runJson(service, ['invoice', 'list', 'Ada']), []);
  const [budget] = await runJson(service, ['budget', 'set', 'Ada', '--amount', '12.5']);
  assert.deepEqual(await runJson(service, ['anomalies', 'Ada']), []);
  assert.deepEqual([budget?.amount_micros, budget?.levels], ['12500000', [50, 80, 100]]);
  const small = ['--amount', '0.000001', '--at-limit', 'pause_writes'];
  const [spent] = await runJson(service, ['budget', 'set', 'Ada', ...small]);
  assert.equal(spent?.paused, 'writes');
  await assert.rejects(hers.createCollection('more', COLLECTION), /Payment Required/);
  await runJson(service, ['budget', 'remove', 'Ada']);
  await hers.createCollection('more', COLLECTION);
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

test('the shell completes commands, options, and names that the service knows', async (t) => {
  const service = await startService(t);
  const [ada] = await runJson(service, ['client', 'create', 'Ada']);
  const [spaced] = await runJson(service, ['client', 'create', 'Ada & sons']);
  const [key] = await runJson(service, ['key', 'create', 'Ada']);
  const [revoked] = await runJson(service, ['key', 'create', 'Ada']);
  await runJson(service, ['key', 'revoke', 'Ada', String(revoked?.key_id), '--yes']);
  const where = ['--env-file', service.envFile, '--admin-url', service.adminUrl];
  const { stdout: script } = await runCommand(['completion', 'bash']);
  const complete = async (...words: string[]) => {
    const shown = `${script}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _bulkhead >&2
      printf '%s\\n' "\${COMPREPLY[@]}"`;
    const found = await promisify(execFile)('bash', ['-c', shown, 'bash', BULKHEAD, ...words]);
    assert.equal(found.stderr, '', 'nothing appears in the line that is typed');
    return found.stdout.split('\n').filter((line) => line !== '');
  };
  assert.deepEqual(await complete('cl'), ['client']);
  assert.deepEqual(await complete('client', 'su'), ['suspend']);
  assert.deepEqual(await complete('client', 'delete', '--g'), ['--grace']);
  assert.deepEqual(await complete('key', 'create', '--role', 'a'), ['admin', 'analyst']);
  const clients = await complete(...['client', 'show', ...where, '']);
  assert.deepEqual(clients.toSorted(), ['Ada', 'first', String(spaced?.client_id)].toSorted());
  assert.deepEqual(await complete('key', 'rotate', ...where, 'Ada', ''), [String(key?.key_id)]);
  assert.deepEqual(await complete('client', 'set', ...where, 'Ada', '--plan', 'f'), ['free']);
  assert.equal((await complete('worker', 'show', ...where, 'wk_')).length, 2);
  const nowhere = ['--admin-url', 'http://127.0.0.1:1', '--env-file', service.envFile];
  assert.deepEqual(await complete('client', 'show', ...nowhere, ''), []);
  assert.ok(ada !== undefined);
});

test('commands say what is wrong in a sentence', async (t) => {
  const service = await startService(t);
  const where = ['--env-file', service.envFile, '--admin-url', service.adminUrl];
  const otherToken = join(temporaryFolder(t), 'other.env');
  const text = readFileSync(service.envFile, 'utf8');
  writeFileSync(otherToken, text.replace(/^BULKHEAD_ADMIN_TOKEN=./m, 'BULKHEAD_ADMIN_TOKEN=#'), {
    mode: 0o600,
  });
  for (let i = 0; i < 2; i += 1) await runJson(service, ['client', 'create', 'twin']);
  const nobody = 'cl_aaaaaaaaaaaaaaaa';
  const cases: [code: number, args: string[], sentence: RegExp][] = [
    [4, ['key', 'create', nobody, ...where], /no such client/],
    [4, ['key', 'create', 'nobody', ...where], /no client of the id or name nobody/],
    [4, ['worker', 'show', 'wk_a', ...where], /no such worker/],
    [2, ['client', 'show', 'twin', ...where], /2 clients are called twin, say which: cl_/],
    [2, ['client', 'create', ' ', ...where], /name/],
    [2, ['client', 'create', 'a', '--plan', 'gold', ...where], /plan/],
    [2, ['client', 'set', nobody, ...where], /nothing to set/],
    [2, ['client', 'set', nobody, '--limit', 'points', ...where], /NAME=NUMBER/],
    [2, ['client', 'suspend', nobody, ...where], /--reason/],
    [
      2,
      ['client', 'delete', 'first', ...where],
      /erases all data of the client "first": say --yes/,
    ],
    [2, ['key', 'rotate', 'first', 'key_a', '--grace', 'soon', ...where], /24h, or now/],
    [2, ['plan', 'set', 'free', '--limit', 'pionts=5', ...where], /pionts/],
    [2, ['plan', 'remove', 'free', ...where], /--yes/],
    [5, ['plan', 'remove', 'standard', '--yes', ...where], /operator names none/],
    [5, ['plan', 'remove', 'dedicated', '--yes', ...where], /clients are on the plan/],
    [5, ['plan', 'set', 'free', '--from', 'standard', ...where], /it is there already/],
    [2, ['key', 'rotate', 'first', 'key_a', '--grace', 'now', ...where], /at once: say --yes/],
    [
      2,
      ['key', 'create', 'first', '--namespace', 'a', '--all-namespaces', ...where],
      /conflict|cannot be used/,
    ],
    [5, ['client', 'list', '--env-file', otherToken, '--admin-url', service.adminUrl], /token/],
    [1, ['client', 'list', '--env-file', '/nowhere/bulkhead.env'], /does not exist/],
    [
      3,
      ['client', 'list', '--env-file', service.envFile, '--admin-url', 'http://127.0.0.1:1'],
      /no service answers at http:\/\/127\.0\.0\.1:1/,
    ],
    [1, ['up', '--data', service.dataFolder], /another bulkhead up already runs/],
    [2, ['up', '--port', 'many'], /integer/],
    [2, ['fly'], /unknown command/],
  ];
  for (const [wanted, args, sentence] of cases) {
    const { code, stdout, stderr } = await runCommand(args);
    assert.match(stderr, sentence);
    assert.equal(code, wanted, args.join(' '));
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
