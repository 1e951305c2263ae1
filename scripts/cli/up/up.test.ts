/**
 * `bulkhead up` with stand-ins for coordinator and worker: what the supervisor itself promises.
 * The real programs are in `test/integration`.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type UpEvent, UpProcess } from './up-process.ts';

/** Tells its parent it is ready; on SIGTERM takes `BULKHEAD_LOG_LEVEL` as how to behave. */
const STAND_IN = `
import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
const env = process.env;
const folder = env.BULKHEAD_DATA_DIR;
mkdirSync(folder, { recursive: true });
const name = folder.split('/').at(-1);
const journal = (what) => appendFileSync(folder + '/../journal', name + ' ' + what + '\\n');
writeFileSync(folder + '/environment', JSON.stringify(env));
if (existsSync(folder + '/die')) process.exit(7);
process.on('SIGINT', () => journal('SIGINT'));
process.on('SIGTERM', () => {
  journal('drained');
  if (!existsSync(folder + '/hang')) process.exit(0);
});
process.on('disconnect', () => {
  journal('orphaned');
  process.exit(0);
});
const listen = (port, answer) => new Promise((done) => {
  const server = createServer(answer);
  server.listen(Number(port), '127.0.0.1', () => done(server.address().port));
});
if (env.BULKHEAD_PORT === undefined) {
  journal('ready');
  process.send({ event: 'ready' });
} else {
  const file = folder + '/state.json';
  const state = existsSync(file) ? JSON.parse(readFileSync(file)) : { clients: [], keys: [] };
  const times = {
    created_at: 'now', expires_at: null, revoked_at: null, erase_at: null, last_used_at: null,
  };
  const reply = (method, path) => {
    if (path === '/admin/v1/status') {
      const workers = { known: 9, connected: 9 };
      const none = { collections: 0, resharding: 0, shards: 0, shards_unreachable: 0, in_flight: 0 };
      const replicas = { total: 0, behind: 0 };
      return { clients: state.clients.length, ...none, replicas, workers, uptime_ms: 1 };
    }
    const keys = path.endsWith('/keys');
    const items = keys ? state.keys : state.clients;
    if (method === 'GET') return { [keys ? 'keys' : 'clients']: items, next: null };
    items.push(keys
      ? { key_id: 'key_1', client_id: 'cl_1', name: 'k', mode: 'live', role: 'admin', version: 1,
          namespaces: ['default'], requests_per_second: null, secrets: [], ...times }
      : { client_id: 'cl_1', name: 'first', state: 'active', reason: null, plan: 'dedicated',
          overrides: {}, version: 1, ...times });
    writeFileSync(file, JSON.stringify(state));
    return { ...items.at(-1), ...(keys ? { key: 'bh_live_secret' } : {}) };
  };
  const ports = {
    port: await listen(env.BULKHEAD_PORT, (_, answer) => answer.end('ok')),
    adminPort: await listen(env.BULKHEAD_ADMIN_PORT, (request, answer) => {
      request.resume().on('end', () => answer.end(JSON.stringify(reply(request.method, request.url))));
    }),
    linkPort: await listen(env.BULKHEAD_LINK_PORT, (_, answer) => answer.end()),
  };
  journal('ready');
  process.send({ event: 'ready', ...ports });
}
`;

const RUNNER = `
import { runProgram } from '${new URL('../program.ts', import.meta.url)}';
const standIn = process.argv[2];
process.exitCode = await runProgram(process.argv.slice(3), {
  env: process.env,
  programs: { coordinator: standIn, worker: standIn },
  write: (text) => process.stdout.write(text),
  writeError: (text) => process.stderr.write(text),
});
`;

interface Installation {
  folder: string;
  data: string;
  start(more?: string[], env?: Record<string, string>): UpProcess;
  journal(): string[];
}

function install(t: TestContext): Installation {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-up-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const data = join(folder, 'data');
  writeFileSync(join(folder, 'stand-in.mjs'), STAND_IN);
  writeFileSync(join(folder, 'runner.mjs'), RUNNER);
  const start = (more: string[] = [], env: Record<string, string> = {}): UpProcess => {
    const files = [join(folder, 'runner.mjs'), join(folder, 'stand-in.mjs')];
    const options = [
      '--json',
      '--data',
      data,
      '--port',
      '0',
      '--admin-port',
      '0',
      '--workers',
      '2',
    ];
    const up = new UpProcess([...files, 'up', ...options, ...more], env);
    t.after(async () => {
      up.signal('SIGKILL');
      await up.exited;
    });
    return up;
  };
  const journal = (): string[] => {
    const file = join(data, 'journal');
    return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n') : [];
  };
  return { folder, data, start, journal };
}

function pidsOf(ready: UpEvent): { coordinator: number; workers: number[] } {
  return ready.pids as { coordinator: number; workers: number[] };
}

test('up serves, shows the first key once, and drains the coordinator before the workers', async (t) => {
  const { data, start, journal } = install(t);
  const first = start();
  const ready = await first.waitFor('ready');
  assert.equal(ready.key, 'bh_live_secret');
  assert.equal(ready.env_file, join(data, 'bulkhead.env'));
  assert.equal(await (await fetch(String(ready.url))).text(), 'ok');
  assert.equal(pidsOf(ready).workers.length, 2);
  for (const file of ['bulkhead.env', 'worker.env']) {
    assert.equal(statSync(join(data, file)).mode & 0o777, 0o600);
  }
  first.signal('SIGINT');
  assert.deepEqual(await first.exited, { code: 0, signal: null });
  assert.equal(first.events.at(-1)?.event, 'stopped');
  const drained = journal().filter((line) => line.endsWith('drained'));
  assert.equal(drained[0], 'coordinator drained');
  assert.equal(drained.length, 3);

  const secrets = readFileSync(join(data, 'bulkhead.env'), 'utf8');
  const second = start();
  assert.equal((await second.waitFor('ready')).key, undefined);
  assert.equal(readFileSync(join(data, 'bulkhead.env'), 'utf8'), secrets);
  second.signal('SIGTERM');
  assert.equal((await second.exited).code, 0);
});

test('a child gets its own settings and no secret of the other', async (t) => {
  const { data, start } = install(t);
  const env = { BULKHEAD_QUERY_TIMEOUT_MS: '5000', BULKHEAD_HANDLES_MAX: '64', SECRET: 'x' };
  const up = start([], env);
  await up.waitFor('ready');
  const read = (name: string): Record<string, string> => {
    return JSON.parse(readFileSync(join(data, name, 'environment'), 'utf8'));
  };
  const [coordinator, worker] = [read('coordinator'), read('worker-2')];
  assert.equal(coordinator.BULKHEAD_QUERY_TIMEOUT_MS, '5000');
  assert.equal(coordinator.BULKHEAD_HANDLES_MAX, undefined);
  assert.equal(coordinator.SECRET, undefined);
  assert.equal(worker.BULKHEAD_HANDLES_MAX, '64');
  assert.equal(worker.BULKHEAD_QUERY_TIMEOUT_MS, undefined);
  assert.equal(worker.BULKHEAD_ENV_FILE, join(data, 'worker.env'));
  assert.match(String(worker.BULKHEAD_COORDINATOR_URL), /^ws:\/\/127\.0\.0\.1:\d+$/);
  assert.deepEqual(readFileSync(join(data, 'worker.env'), 'utf8').match(/^BULKHEAD_\w+/gm), [
    'BULKHEAD_LINK_SECRET',
  ]);
});

test('a child that dies is restarted on the same ports', async (t) => {
  const { start } = install(t);
  const up = start();
  const ready = await up.waitFor('ready');
  process.kill(pidsOf(ready).coordinator, 'SIGKILL');
  const exited = await up.waitFor('exited', { name: 'coordinator' });
  assert.equal(exited.signal, 'SIGKILL');
  const restarted = await up.waitFor('restarted', { name: 'coordinator' });
  assert.notEqual(restarted.pid, pidsOf(ready).coordinator);
  assert.equal(await (await fetch(String(ready.url))).text(), 'ok');
  process.kill(Number(pidsOf(ready).workers[1]), 'SIGKILL');
  await up.waitFor('restarted', { name: 'worker-2' });
});

test('one Ctrl-C that arrives twice is one; a later second one ends everything now', async (t) => {
  const { data, start, journal } = install(t);
  const up = start();
  const { coordinator, workers } = pidsOf(await up.waitFor('ready'));
  writeFileSync(join(data, 'coordinator', 'hang'), '');
  up.signal('SIGINT');
  up.signal('SIGTERM');
  await up.waitFor('stopping');
  await sleep(600);
  assert.ok(existsSync(`/proc/${coordinator}`), 'the drain goes on');
  assert.equal(journal().includes('worker-1 drained'), false);
  up.signal('SIGINT');
  assert.equal((await up.exited).code, 130);
  for (const pid of [coordinator, ...workers]) assert.equal(existsSync(`/proc/${pid}`), false);
});

test('children notice that their supervisor was killed', async (t) => {
  const { start, journal } = install(t);
  const up = start();
  await up.waitFor('ready');
  up.signal('SIGKILL');
  await up.exited;
  for (let tries = 0; tries < 200 && journal().length < 6; tries++) await sleep(10);
  assert.equal(journal().filter((line) => line.endsWith('orphaned')).length, 3);
  const again = start();
  await again.waitFor('ready');
});

test('what keeps it from starting is a sentence and an exit code', async (t) => {
  const { data, start } = install(t);
  const running = start();
  await running.waitFor('ready');
  const fails = async (up: UpProcess, sentence: RegExp, code = 1): Promise<void> => {
    assert.equal((await up.exited).code, code);
    assert.match(up.log, sentence);
    assert.doesNotMatch(up.log, /\n {4}at /);
  };
  await fails(start(), /another bulkhead up already runs on .*data/);
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  t.after(() => void taken.close());
  const { port } = taken.address() as { port: number };
  const elsewhere = ['--data', `${data}-2`];
  await fails(start([...elsewhere, '--port', String(port)]), /already in use.*--port/);
  await fails(start(elsewhere, { BULKHEAD_PORT: '1' }), /BULKHEAD_PORT is set by.*use --port/);
  await fails(start(elsewhere, { BULKHEAD_PROT: '1' }), /BULKHEAD_PROT is not a setting/);
  const many = {
    BULKHEAD_PROT: '1',
    BULKHEAD_PORT: '1',
    BULKHEAD_LOG_LEVEL: 'loud',
    BULKHEAD_QUERY_TIMEOUT_MS: 'x',
    BULKHEAD_HANDLES_MAX: '0',
  };
  const all = start(elsewhere, many);
  await fails(all, /BULKHEAD_PROT is not/);
  for (const name of Object.keys(many)) assert.equal(all.log.split(name).length, 2, all.log);
  await fails(start([...elsewhere, '--workers', '0']), /integer, 1 to 64/, 2);
});

test('a data folder that can not be one is a sentence and exit code 1, at once', async (t) => {
  const { folder, start } = install(t);
  writeFileSync(join(folder, 'file'), '');
  symlinkSync(join(folder, 'nowhere'), join(folder, 'dangling'));
  const cases: [string, RegExp][] = [
    ['/proc/nope', /cannot use \/proc\/nope, the file system does not take it: name another/],
    ['/proc/nope/deeper', /cannot use \/proc\/nope, /],
    ['/proc', /cannot use \/proc, the file system does not take it/],
    [join(folder, 'file'), /file is not a folder: name another folder with --data/],
    [join(folder, 'file', 'inside'), /file is not a folder: name another/],
    [join(folder, 'dangling'), /dangling, something else is there/],
    [join(folder, 'x'.repeat(300)), /the name is too long/],
  ];
  for (const [data, sentence] of cases) {
    const up = start(['--data', data]);
    assert.equal((await up.exited).code, 1, data);
    assert.match(up.log, sentence);
    assert.doesNotMatch(up.log, /\n {4}at /);
  }
  const deep = join(folder, 'made', 'level', 'by', 'level');
  const up = start(['--data', deep]);
  await up.waitFor('ready');
  assert.equal(statSync(deep).mode & 0o777, 0o700);
});

test('a child that ends before it is ready fails the start, and nothing is left running', async (t) => {
  const { data, start, journal } = install(t);
  const once = start();
  await once.waitFor('ready');
  once.signal('SIGTERM');
  await once.exited;
  writeFileSync(join(data, 'worker-2', 'die'), '');
  const before = journal().length;
  const up = start();
  assert.equal((await up.exited).code, 1);
  assert.match(up.log, /worker-2 ended before it was ready \(code 7\)/);
  const later = journal().slice(before);
  assert.equal(later.filter((line) => line === 'coordinator drained').length, 1);
});

test('the command finds its runtime when the machine has none that fits', async () => {
  const script = new URL('../../bulkhead.ts', import.meta.url).pathname;
  const run = spawn(script, ['--version'], { env: { PATH: '/usr/bin:/bin' } });
  const chunks: Buffer[] = [];
  run.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  const [code] = await once(run, 'close');
  assert.equal(code, 0);
  assert.match(Buffer.concat(chunks).toString(), /^\d+\.\d+\.\d+\n$/);
});
