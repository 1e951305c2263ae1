/**
 * Secrets are where they must be and nowhere else: in no file, log line, answer, and in nothing that
 * the system tells of a process. The service logs all it can while it is asked for everything that
 * it offers, well and badly, and is killed in between.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { basename, join, relative } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import type { Endpoint } from '../../coordinator/http/endpoint.ts';
import { DATA_ENDPOINTS } from '../../coordinator/http/routes/data/endpoints.ts';
import { systemCode } from '../../scripts/cli/command-error.ts';
import { type DataRequest, requestOf, SMALL_COLLECTION } from '../harness/data-requests.ts';
import { SecretSearch } from '../harness/secret-search.ts';
import { BULKHEAD, type Service, startService } from '../harness/service.ts';
import { temporaryFolder } from '../harness/temporary-folder.ts';
import { WholeLog } from '../harness/whole-log.ts';

const TOKEN = 'admin token';
const KEY = 'key';
/** In `worker.env` too. */
const LINK_SECRET = 'link secret';
const SECRETS = {
  [TOKEN]: 'BULKHEAD_ADMIN_TOKEN',
  pepper: 'BULKHEAD_KEY_PEPPER',
  [LINK_SECRET]: 'BULKHEAD_LINK_SECRET',
};
const NOBODY = 'cl_aaaaaaaaaaaaaaaa';

/** What one run of the test works with. */
interface Canary {
  service: Service;
  search: SecretSearch;
  log: WholeLog;
  token: string;
  clientId: string;
  key: string;
  statuses: Set<number>;
}

test('a key and an admin token are in no file, log, answer or process', async (t) => {
  const canary = await startCanary(t);
  const { service, search, log } = canary;
  await askEverything(canary, DATA_ENDPOINTS);
  await askBadly(canary);
  await sweepAdmin(canary);
  lookAtFiles(canary, 'while it runs');
  for (const name of ['coordinator', 'worker-1']) await service.killAndWait(name, 'SIGKILL');
  await askEverything(canary, DATA_ENDPOINTS.slice(0, 5));
  await runCommands(t, canary);
  await exceedLimit(canary);
  lookAtProcesses(canary);
  lookAtFiles(canary, 'after a kill');
  await service.stop();
  log.read();
  const files = lookAtFiles(canary, 'after the end');
  search.look('the log', log.text);
  search.look('standard output', JSON.stringify(service.up.events));
  assert.deepEqual(search.found, []);
  checkReach(canary, files);
  t.diagnostic(`${search.places} places, ${log.text.length} characters of log`);
});

/** The key's reply is the one place where it may be: it is looked at without it. */
async function startCanary(t: TestContext): Promise<Canary> {
  // With a graph, so that there are images.
  const env = { BULKHEAD_LOG_LEVEL: 'debug', BULKHEAD_FLAT_POINTS_MAX: '0' };
  const service = await startService(t, { env });
  const search = new SecretSearch();
  const envText = readFileSync(service.envFile, 'utf8');
  for (const [name, variable] of Object.entries(SECRETS)) {
    const secret = new RegExp(`^${variable}=(.{32,})$`, 'm').exec(envText)?.[1];
    assert.ok(secret !== undefined, `${variable} is in the env file`);
    search.add(name, secret);
  }
  assert.equal(statSync(service.envFile).mode & 0o777, 0o600);
  assert.equal(search.namesIn(envText).length, 3, 'what is there is found');
  const log = new WholeLog(() => service.up.log);
  const token = service.adminToken();
  const canary = {
    service,
    search,
    log,
    token,
    clientId: '',
    key: '',
    statuses: new Set<number>(),
  };
  const created = await askAdmin(
    canary,
    'POST',
    '/clients',
    '{"name":"canary","plan":"dedicated"}',
  );
  canary.clientId = JSON.parse(created).client_id;
  const keys = `/clients/${canary.clientId}/keys`;
  const reply = await askAdmin(canary, 'POST', keys, '{"mode":"live","name":"k"}');
  const { key, ...rest } = JSON.parse(reply);
  canary.key = key;
  search.add(KEY, key.split('_')[2]);
  assert.equal(search.namesIn(reply).length, 1, 'what is there is found');
  search.look('the reply to the creation, but the key', JSON.stringify(rest));
  // The answer to this one is kept, sealed, for a day.
  const rotated = await fetch(`${service.adminUrl}/admin/v1${keys}/${rest.key_id}/rotate`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'idempotency-key': 'canary-rotation' },
  });
  const second = ((await rotated.json()) as { key: string }).key;
  search.add('the key after its rotation', second.split('_')[2] ?? '');
  const hook = await service.fetch('POST', '/v1/webhooks', { url: 'https://1.1.1.1/hook' });
  const { result } = (await hook.json()) as { result: { secret: string } };
  search.add('the secret of a webhook', result.secret.replace('whsec_', ''));
  return canary;
}

/** Sends a request and looks at its answer; the body of the answer. */
async function send(canary: Canary, url: string, init: RequestInit): Promise<string> {
  const response = await fetch(url, init);
  const body = await response.text();
  const place = `the answer ${response.status} to ${init.method} ${new URL(url).pathname}`;
  canary.search.look(place, `${JSON.stringify([...response.headers])}\n${body}`);
  canary.statuses.add(response.status);
  canary.log.read();
  return body;
}

function askData(
  canary: Canary,
  { method, path, body }: DataRequest,
  headers: Record<string, string> = { 'api-key': canary.key },
): Promise<string> {
  const json: Record<string, string> =
    body === undefined ? {} : { 'content-type': 'application/json' };
  return send(canary, `${canary.service.url}${path}`, {
    method,
    headers: { ...json, ...headers },
    body: body === undefined || typeof body === 'string' ? (body ?? null) : JSON.stringify(body),
  });
}

function askAdmin(
  canary: Canary,
  method: string,
  path: string,
  body?: string,
  authorization = `Bearer ${canary.token}`,
): Promise<string> {
  const json: Record<string, string> =
    body === undefined ? {} : { 'content-type': 'application/json' };
  return send(canary, `${canary.service.adminUrl}/admin/v1${path}`, {
    method,
    headers: { ...json, authorization },
    body: body ?? null,
  });
}

/** Each endpoint well, and then with what is wrong in one way or another. */
async function askEverything(canary: Canary, endpoints: readonly Endpoint[]): Promise<void> {
  const { key } = canary;
  for (const [i, endpoint] of endpoints.entries()) {
    const name = `c-${i}`;
    if (endpoint.url.includes(':collection')) {
      const creation = { method: 'PUT', path: `/collections/${name}` } as const;
      await askData(canary, { ...creation, body: SMALL_COLLECTION });
      const points = [{ id: 1, vector: [1, 0, 0, 0], payload: { a: 'x' } }];
      await askData(canary, { ...creation, path: `${creation.path}/points`, body: { points } });
    }
    const good = requestOf(endpoint, name);
    await askData(canary, good);
    await askData(canary, requestOf(endpoint, 'absent'));
    await askData(canary, { ...good, path: `${good.path}?api-key=${key}` });
    await askData(canary, { ...good, method: 'PATCH', body: { api_key: key } });
    if (good.body === undefined) continue;
    await askData(canary, { ...good, body: { ...(good.body as object), api_key: key } });
    await askData(canary, { ...good, body: `{"api_key":"${key}",` });
  }
}

/** Keys and tokens in the wrong place, and bytes that are no request. */
async function askBadly(canary: Canary): Promise<void> {
  const { key, token, service } = canary;
  const list = { method: 'GET', path: '/collections', body: undefined } as const;
  const basic = `Basic ${Buffer.from(`:${key}`).toString('base64')}`;
  const other = key.slice(0, -1) + (key.endsWith('0') ? '1' : '0');
  const headers: Record<string, string>[] = [
    { authorization: `Bearer ${key}` },
    { authorization: basic },
    { authorization: key },
    { cookie: `key=${key}` },
    { 'api-key': other },
    { 'api-key': token },
    { 'api-key': `${key},${key}` },
    { 'api-key': key, 'x-tenant-id': key },
    { 'api-key': key, 'content-type': `text/plain; charset=${key}` },
  ];
  for (const one of headers) await askData(canary, list, one);
  for (const path of ['/metrics', '/healthz', '/readyz', `/?key=${key}`, `/v1?token=${token}`]) {
    await askData(canary, { ...list, path });
    await send(canary, `${service.adminUrl}${path}`, { method: 'GET' });
  }
  const broken = [
    `GET /collections HTTP/1.1\r\napi-key: ${key}\r\n\r\n`,
    `GET /collections HTTP/1.1\r\nhost: x\r\napi-key: ${key}\r\napi-key: ${key}\r\n\r\n`,
    `GET /collections HTTP/1.1\r\nhost: x\r\nexpect: ${token}\r\napi-key: ${key}\r\n\r\n`,
    `GET /collections HTTP/1.1\r\nhost: x\r\napi-key ${key}\r\n\r\n`,
    `api-key: ${key}\r\nauthorization: Bearer ${token}\r\n\r\n`,
  ];
  for (const url of [service.url, service.adminUrl]) {
    for (const request of broken) await sendBytes(canary, url, request);
  }
}

/** What a server says to bytes, until it hangs up. */
async function sendBytes({ search, log }: Canary, url: string, request: string): Promise<void> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.end(request);
  search.look(`the answer to a broken request at ${url}`, await text(socket));
  log.read();
}

/** Every path of the admin API in ways that it refuses, as its own description lists them. */
async function sweepAdmin(canary: Canary): Promise<void> {
  const { clientId, key, token } = canary;
  const document = JSON.parse(await askAdmin(canary, 'GET', '/openapi.json'));
  const paths: [string, object][] = Object.entries(document.paths);
  assert.ok(paths.length >= 10);
  for (const [template, methods] of paths) {
    const path = template
      .replace('/admin/v1', '')
      .replace('{client}', template.endsWith('/keys') ? clientId : NOBODY)
      .replaceAll(/\{\w+\}/g, 'absent');
    for (const method of Object.keys(methods).map((name) => name.toUpperCase())) {
      const body = method === 'GET' || method === 'DELETE' ? undefined : `{"token":"${token}"`;
      await askAdmin(canary, method, path, body);
      await askAdmin(canary, method, `${path}?token=${token}`, body && `${body}}`);
      await askAdmin(canary, method, path, body, `Bearer ${key}`);
    }
  }
  for (const path of ['/audit', '/workers', `/clients/${clientId}`, `/clients/${clientId}/keys`]) {
    await askAdmin(canary, 'GET', path);
  }
}

/** The commands as people use them, as programs do, and as they fail. */
async function runCommands(t: TestContext, canary: Canary): Promise<void> {
  const { service, clientId, token } = canary;
  const where = ['--env-file', service.envFile, '--admin-url', service.adminUrl];
  const run = (...args: string[]) => runCommand(canary, [...args, ...where]);
  const inSequence = async (name: string, flags: string[]) => {
    await run('client', 'create', name, ...flags);
    await run('client', 'list', ...flags);
    await run('plan', 'set', name, '--from', 'free', '--limit', 'keys=3', ...flags);
    await run('plan', 'list', ...flags);
    await run('plan', 'show', 'standard', ...flags);
    await run('plan', 'remove', name, '--yes', ...flags);
    await run('key', 'create', clientId, ...flags);
    await run('key', 'list', clientId, ...flags);
    await run('key', 'revoke', clientId, 'key_aaaaaaaaaaaaaaaa', ...flags);
    await run('client', 'show', NOBODY, ...flags);
    await run('status', ...flags);
  };
  await Promise.all([inSequence('ada', ['--json']), inSequence('bob', [])]);
  const folder = temporaryFolder(t);
  const broken = join(folder, 'broken.env');
  writeFileSync(broken, `BULKHEAD_ADMIN_TOKEN ${token}\n`, { mode: 0o600 });
  const open = join(folder, 'open.env');
  copyFileSync(service.envFile, open);
  await Promise.all([
    runCommand(canary, ['status', '--env-file', broken, '--admin-url', service.adminUrl]),
    runCommand(canary, ['status', '--env-file', open, '--admin-url', service.url]),
    runCommand(canary, ['status', '--env-file', service.envFile, '--admin-url', 'http://[::1]:1']),
    runCommand(canary, ['up', '--data', service.dataFolder]),
  ]);
  await run('client', 'set', clientId, ...LIMITS.flatMap((limit) => ['--limit', limit]));
}

const LIMITS = ['requests_per_second=1', 'burst=1'];

/** What a command prints, and what the system tells of its process. */
async function runCommand(canary: Canary, args: string[]): Promise<void> {
  const env = { PATH: process.env.PATH ?? '', HOME: process.env.HOME ?? '' };
  const child = spawn(process.execPath, ['--', BULKHEAD, ...args], { env });
  const place = `bulkhead ${args.slice(0, 2).join(' ')}`;
  assert.ok(lookAtProcess(canary, child.pid, place), 'it runs from the moment it is there');
  child.stdout.once('data', () => lookAtProcess(canary, child.pid, place));
  const closed = once(child, 'close');
  const output = await Promise.all([text(child.stdout), text(child.stderr)]);
  await closed;
  canary.search.look(`what ${place} printed`, output.join('\n'));
  canary.log.read();
}

async function exceedLimit(canary: Canary): Promise<void> {
  for (let i = 0; i < 3; i += 1) {
    await askData(canary, { method: 'GET', path: '/collections', body: undefined });
  }
}

function lookAtProcesses(canary: Canary): void {
  const { service } = canary;
  const pids = ['coordinator', ...service.workerNames].map((name) => service.pidOf(name));
  for (const pid of [service.up.pid, ...pids]) {
    assert.ok(lookAtProcess(canary, pid, `process ${pid}`), 'it is there');
  }
}

/** False when the process is gone. */
function lookAtProcess({ search }: Canary, pid: number | undefined, name: string): boolean {
  for (const file of ['cmdline', 'environ']) {
    try {
      search.look(`${file} of ${name}`, readFileSync(`/proc/${pid}/${file}`));
    } catch (error) {
      if (!['ENOENT', 'ESRCH'].includes(systemCode(error) ?? '')) throw error;
      return false;
    }
  }
  return true;
}

/** Looks at every file below the data folder; their names. */
function lookAtFiles({ service, search }: Canary, when: string): Set<string> {
  const { dataFolder, envFile } = service;
  const names = new Set<string>();
  for (const file of readdirSync(dataFolder, { recursive: true, withFileTypes: true })) {
    const path = join(file.parentPath, file.name);
    search.look(`the name of a file, ${when}`, relative(dataFolder, path));
    if (!file.isFile() || path === envFile) continue;
    const allowed = file.name === 'worker.env' ? [LINK_SECRET] : [];
    try {
      search.look(`${relative(dataFolder, path)}, ${when}`, readFileSync(path), allowed);
      names.add(basename(path));
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') throw error;
    }
  }
  return names;
}

/** That nothing was found says something only when the places were there to be looked at. */
function checkReach({ log, statuses, search }: Canary, files: ReadonlySet<string>): void {
  for (const name of ['control.db', 'points.db', 'shard.json', 'index.img', 'worker.env']) {
    assert.ok(files.has(name), `${name} was looked at`);
  }
  for (const status of [200, 201, 400, 401, 404, 405, 429]) {
    assert.ok(statuses.has(status), `an answer ${status} was looked at`);
  }
  const lines = log.text.split('\n').filter((line) => line.startsWith('{'));
  const events = new Set(lines.map((line) => JSON.parse(line).event));
  for (const event of ['coordinator_ready', 'worker_ready', 'request_done', 'link_lost']) {
    assert.ok(events.has(event), `${event} is in the log`);
  }
  assert.ok(search.places > 500, `only ${search.places} places`);
}
