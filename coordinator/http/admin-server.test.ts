import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { FastifyInstance } from 'fastify';
import { ManualClock } from '../../shared/base/clock.ts';
import type { WorkerId } from '../../shared/base/ids.ts';
import { secureRandom } from '../../shared/base/random.ts';
import { createLog } from '../../shared/log/log.ts';
import { billingOver } from '../../test/harness/billing.ts';
import { notifyParts } from '../../test/harness/notify-parts.ts';
import { Authenticator } from '../auth/authenticator.ts';
import { Epochs } from '../auth/epochs.ts';
import { KeyDigester } from '../auth/key-digest.ts';
import { createKeyHash } from '../auth/key-hash.ts';
import type { LiveWorker } from '../cluster/workers/workforce.ts';
import { AuditAdmin } from '../control-plane/audit.ts';
import { ClientAdmin } from '../control-plane/clients.ts';
import { CollectionAdmin } from '../control-plane/collections.ts';
import { Idempotency } from '../control-plane/idempotency.ts';
import { KeyAdmin } from '../control-plane/keys.ts';
import { PlanAdmin } from '../control-plane/plans.ts';
import { ReplicaAdmin } from '../control-plane/replicas.ts';
import { WorkerAdmin } from '../control-plane/workers.ts';
import { ControlStore } from '../store/control-store.ts';
import { createAdminServer } from './admin-server.ts';

const TOKEN = 'admin-token-'.repeat(4);
const W1 = 'wk_aaaaaaaaaaaaaaaa' as WorkerId;
const W2 = 'wk_bbbbbbbbbbbbbbbb' as WorkerId;
const JSON_HEADERS = { 'content-type': 'application/json' };

const folder = mkdtempSync(join(tmpdir(), 'bulkhead-admin-'));
const clock = new ManualClock();
const logged: string[] = [];
let live: () => LiveWorker[] = () => [];
let store: ControlStore;
let authenticator: Authenticator;
let server: FastifyInstance;
let url: string;

before(async () => {
  store = ControlStore.open(join(folder, 'control.db'), { clock });
  const digester = new KeyDigester('pepper'.repeat(8));
  const hash = await createKeyHash(secureRandom.bytes);
  const epochs = new Epochs();
  authenticator = new Authenticator({ keys: store.apiKeys, epochs, digester, hash, clock });
  const destination = { write: (line: string) => logged.push(line) };
  const log = createLog({ level: 'debug', name: 'test', destination });
  const digest = (key: string) => digester.digest(key);
  const base = { store, random: secureRandom, log, clock };
  const caches = authenticator;
  const limitsChanged = () => undefined;
  const health = { drain: () => undefined, release: () => undefined };
  const counts = { shards: 3, unreachable: 1, replicas: 5, behind: 2 };
  const scrubbed = { compared: 0, differed: 0, repairedRows: 0, skipped: 0, failed: 0 };
  const scrub = { counts: scrubbed, soon: () => undefined };
  const moves = { soon: () => undefined, stranded: () => new Map<WorkerId, number>() };
  server = createAdminServer(
    {
      clients: new ClientAdmin({
        ...base,
        caches,
        limitsChanged,
        erasure: { plan: () => undefined },
        tell: () => undefined,
      }),
      collections: new CollectionAdmin({
        clients: { show: () => assert.fail('nobody asks for them') },
        pausing: { ofClient: () => [], pause: () => assert.fail(), wake: () => assert.fail() },
      }),
      keys: new KeyAdmin({ ...base, caches, digest, keysMax: () => 100 }),
      plans: new PlanAdmin({ ...base, limitsChanged }),
      audit: new AuditAdmin(base),
      workers: new WorkerAdmin({
        ...base,
        live: () => live(),
        count: () => counts,
        health,
        moves,
        release: async () => false,
      }),
      replicas: new ReplicaAdmin({ store, cluster: { find: () => undefined, scrub } }),
      usage: { report: () => assert.fail('nobody asks for it') },
      ...notifyParts(base),
      billing: billingOver({ ...base, ledger: { ask: () => assert.fail('nor for that') } }),
      auditTrail: { exportPart: () => assert.fail('nor for that'), publicKey: '' },
      census: {
        list: () => assert.fail('nor for these'),
        take: () => assert.fail('nor for these'),
        show: () => assert.fail('nor for these'),
        archive: () => assert.fail('nor for these'),
        ofClient: () => assert.fail('nor for these'),
        publicKey: '',
      },
      idempotency: new Idempotency({ ...base, secret: 'pepper'.repeat(8) }),
      random: secureRandom,
      log,
    },
    { tokens: [TOKEN] },
  );
  url = await server.listen({ host: '127.0.0.1', port: 0 });
});

after(async () => {
  await server.close();
  store.close();
  rmSync(folder, { recursive: true, force: true });
});

type Reply = Record<string, unknown>;

async function send(method: string, path: string, init: RequestInit = {}) {
  const headers = { authorization: `Bearer ${TOKEN}`, ...init.headers };
  const response = await fetch(url + path, { ...init, method, headers });
  return { status: response.status, headers: response.headers, reply: await toReply(response) };
}

async function toReply(response: Response): Promise<Reply> {
  return JSON.parse(await response.text()) as Reply;
}

function post(path: string, body: unknown) {
  return send('POST', path, { headers: JSON_HEADERS, body: JSON.stringify(body) });
}

async function newClientPath(): Promise<string> {
  const { reply } = await post('/admin/v1/clients', { name: 'acme' });
  return `/admin/v1/clients/${reply.client_id}`;
}

describe('clients and keys', () => {
  it('creates, lists, uses and revokes', async () => {
    const client = await post('/admin/v1/clients', { name: 'Acme & Söhne' });
    assert.equal(client.status, 201);
    const { client_id, ...shown } = client.reply;
    const created_at = new Date(clock.now()).toISOString();
    assert.deepEqual(shown, {
      name: 'Acme & Söhne',
      state: 'active',
      reason: null,
      paused: null,
      plan: 'standard',
      overrides: {},
      version: 1,
      created_at,
      erase_at: null,
    });
    assert.equal(client.headers.get('etag'), '"1"');
    const path = `/admin/v1/clients/${client_id}/keys`;

    const created = await post(path, { mode: 'test', name: 'ci' });
    assert.equal(created.status, 201);
    assert.equal(created.headers.get('cache-control'), 'no-store');
    const { key: secret, ...key } = created.reply;
    assert.ok(typeof secret === 'string');
    const [current] = key.secrets as Reply[];
    assert.ok(secret.startsWith(String(current?.prefix)));
    const principal = authenticator.authenticate(secret);
    assert.equal(principal.clientId, client_id);
    assert.equal(principal.mode, 'test');
    assert.deepEqual((await send('GET', path)).reply, { keys: [key], next: null });

    const revoked = await send('DELETE', `${path}/${key.key_id}`);
    assert.equal(revoked.status, 200);
    assert.deepEqual(revoked.reply, {
      ...key,
      version: 2,
      revoked_at: new Date(clock.now()).toISOString(),
    });
    assert.throws(() => authenticator.authenticate(secret), { code: 'unauthenticated' });
    const again = await send('DELETE', `${path}/${key.key_id}`);
    assert.deepEqual(again.reply, revoked.reply);
    assert.deepEqual((await send('GET', path)).reply, { keys: [revoked.reply], next: null });
  });

  it('makes keys that expire', async () => {
    const path = `${await newClientPath()}/keys`;
    const expires_at = new Date(clock.now() + 60_000).toISOString();
    const { status, reply } = await post(path, { mode: 'live', name: null, expires_at });
    assert.equal(status, 201);
    assert.equal(reply.expires_at, expires_at);
    authenticator.authenticate(String(reply.key));
    clock.advance(60_000);
    assert.throws(() => authenticator.authenticate(String(reply.key)), {
      code: 'unauthenticated',
    });
  });

  it('pages through clients', async () => {
    for (let i = 0; i < 5; i += 1) await newClientPath();
    const all = (await send('GET', '/admin/v1/clients')).reply.clients as Reply[];
    assert.ok(all.length >= 5);
    const paged: Reply[] = [];
    let query = '?limit=2';
    for (let more = true; more; ) {
      const { reply } = await send('GET', `/admin/v1/clients${query}`);
      paged.push(...(reply.clients as Reply[]));
      query = `?limit=2&after=${reply.next}`;
      more = reply.next !== null;
    }
    assert.deepEqual(paged, all);
  });

  it('keeps secrets out of the log and out of the database', async () => {
    const { reply } = await post(`${await newClientPath()}/keys`, { mode: 'live' });
    const secret = String(reply.key);
    assert.ok(logged.some((line) => line.includes('key_created')));
    for (const line of logged) {
      assert.ok(!line.includes(secret.slice(8, 51)) && !line.includes(TOKEN), line);
    }
    for (const file of ['control.db', 'control.db-wal']) {
      const bytes = readFileSync(join(folder, file));
      assert.equal(bytes.includes(secret.slice(16, 51)), false);
    }
  });
});

describe('workers and status', () => {
  it('joins what is recorded with what is connected', async () => {
    store.workers.seen(W1);
    store.workers.seen(W2);
    const seenAt = new Date(clock.now()).toISOString();
    clock.advance(1_000);
    const counts = { shards: 3, behind: 1, erasing: 4, inFlight: 2 };
    const GIB = 2 ** 30;
    const disk = { diskFreeBytes: 40 * GIB, diskBytes: 100 * GIB };
    const machine = { shards: 5, cpu: 1.25, memoryBytes: 3 * GIB, ...disk };
    live = () => [{ workerId: W2, connected: true, state: 'healthy', ...counts, machine }];
    const terms = { zone: null, dedicated_to: null, draining: false, stranded: 0, version: 1 };
    assert.deepEqual((await send('GET', '/admin/v1/workers')).reply, {
      workers: [
        {
          worker_id: W1,
          connected: false,
          state: 'down',
          ...terms,
          shards: 0,
          behind: 0,
          erasing: 0,
          in_flight: 0,
          machine: null,
          first_seen_at: seenAt,
          last_seen_at: seenAt,
        },
        {
          worker_id: W2,
          connected: true,
          state: 'healthy',
          ...terms,
          shards: 3,
          behind: 1,
          erasing: 4,
          in_flight: 2,
          machine: {
            shards_on_disk: 5,
            cpu: 1.25,
            memory_bytes: 3 * GIB,
            disk_free_bytes: 40 * GIB,
            disk_bytes: 100 * GIB,
          },
          first_seen_at: seenAt,
          last_seen_at: new Date(clock.now()).toISOString(),
        },
      ],
    });
    const { reply } = await send('GET', '/admin/v1/status');
    assert.equal(reply.status, 'ok');
    assert.deepEqual(reply.workers, { known: 2, connected: 1 });
    assert.deepEqual([reply.shards, reply.shards_unreachable], [3, 1]);
    assert.deepEqual(reply.replicas, { total: 5, behind: 2 });
  });

  it('answers 500 without the text of an error nobody planned, and logs it', async () => {
    live = () => {
      throw new Error('the secret plan');
    };
    const { status, reply } = await send('GET', '/admin/v1/workers');
    live = () => [];
    assert.equal(status, 500);
    assert.equal(reply.code, 'internal');
    assert.ok(!JSON.stringify(reply).includes('secret plan'));
    assert.ok(logged.some((line) => line.includes('request_failed') && line.includes('/workers')));
  });
});

describe('refusals', () => {
  it('asks for the token first, also where nothing is', async () => {
    const headers = [
      {},
      { authorization: '' },
      { authorization: 'Bearer ' },
      { authorization: TOKEN },
      { authorization: `Basic ${TOKEN}` },
      { authorization: `Bearer ${TOKEN}x` },
      { authorization: `Bearer ${TOKEN.slice(0, -1)}` },
      { 'api-key': TOKEN },
    ];
    for (const path of ['/admin/v1/clients', '/admin/v1/status', '/', '/nowhere']) {
      for (const header of headers) {
        const response = await fetch(url + path, { headers: header as Record<string, string> });
        assert.equal(response.status, 401, JSON.stringify(header));
        assert.match(response.headers.get('www-authenticate') ?? '', /^Bearer/);
        assert.equal((await toReply(response)).code, 'unauthenticated');
      }
    }
  });

  const clientId = 'cl_aaaaaaaaaaaaaaaa';
  const bad: [
    what: string,
    method: string,
    path: string,
    body: string | undefined,
    status: number,
    detail: RegExp,
  ][] = [
    ['no body', 'POST', '/admin/v1/clients', undefined, 400, /body|JSON/],
    ['empty body', 'POST', '/admin/v1/clients', '', 400, /JSON|body/],
    ['broken JSON', 'POST', '/admin/v1/clients', '{"name":', 400, /JSON/],
    ['no object', 'POST', '/admin/v1/clients', '[]', 400, /object/],
    ['missing name', 'POST', '/admin/v1/clients', '{}', 400, /name/],
    ['unknown field', 'POST', '/admin/v1/clients', '{"name":"a","nmae":1}', 400, /nmae/],
    ['number as name', 'POST', '/admin/v1/clients', '{"name":5}', 400, /name.*string/],
    ['blank name', 'POST', '/admin/v1/clients', '{"name":"  "}', 400, /name.*empty/],
    ['long name', 'POST', '/admin/v1/clients', `{"name":"${'x'.repeat(129)}"}`, 400, /128/],
    ['control character', 'POST', '/admin/v1/clients', '{"name":"a\\u001bb"}', 400, /control/],
    ['half a surrogate', 'POST', '/admin/v1/clients', '{"name":"\\ud800"}', 400, /Unicode/],
    ['__proto__', 'POST', '/admin/v1/clients', '{"__proto__":{"name":"a"}}', 400, /proto/],
    ['deep JSON', 'POST', '/admin/v1/clients', '['.repeat(5_000), 400, /nested/],
    ['large body', 'POST', '/admin/v1/clients', `"${'x'.repeat(70_000)}"`, 413, /large/],
    ['bad mode', 'POST', `/admin/v1/clients/${clientId}/keys`, '{"mode":"x"}', 400, /live/],
    [
      'unknown client',
      'POST',
      `/admin/v1/clients/${clientId}/keys`,
      '{"mode":"live"}',
      404,
      /client/,
    ],
    ['unknown client', 'GET', `/admin/v1/clients/${clientId}/keys`, undefined, 404, /client/],
    ['strange client', 'GET', '/admin/v1/clients/..%2f..%00/keys', undefined, 404, /client/],
    [
      'unknown client',
      'DELETE',
      `/admin/v1/clients/${clientId}/keys/key_a`,
      undefined,
      404,
      /client/,
    ],
    ['limit 0', 'GET', '/admin/v1/clients?limit=0', undefined, 400, /limit/],
    ['negative limit', 'GET', '/admin/v1/clients?limit=-1', undefined, 400, /limit/],
    ['large limit', 'GET', '/admin/v1/clients?limit=1001', undefined, 400, /limit.*1000/],
    ['bad cursor', 'GET', '/admin/v1/clients?after=%00', undefined, 400, /after/],
    ['unknown parameter', 'GET', '/admin/v1/clients?page=2', undefined, 400, /page/],
    ['unknown path', 'GET', '/admin/v2/clients', undefined, 404, /path/],
    ['other method', 'PATCH', '/admin/v1/clients', '{}', 405, /PATCH, only GET, HEAD, POST/],
    ['body', 'DELETE', `/admin/v1/clients/${clientId}`, '{"grace_seconds":9}', 400, /body.*empty/],
    ['name like an id', 'POST', '/admin/v1/clients', `{"name":"${clientId}"}`, 400, /id/],
    ['format character', 'POST', '/admin/v1/clients', '{"name":"a\\u202eb"}', 400, /control/],
    ['outer space', 'POST', '/admin/v1/clients', '{"name":" a"}', 400, /space/],
    ['bad URL', 'GET', '/admin/v1/clients/%zz/keys', undefined, 400, /path/],
  ];
  for (const [what, method, path, body, status, detail] of bad) {
    it(`${status} for ${what}: ${method} ${path}`, async () => {
      const before = store.clients.count();
      const init = body === undefined ? {} : { headers: JSON_HEADERS, body };
      const answer = await send(method, path, init);
      assert.equal(answer.status, status, JSON.stringify(answer.reply));
      assert.match(answer.headers.get('content-type') ?? '', /^application\/problem\+json/);
      const { detail: text, title, status: said, type, code } = answer.reply;
      assert.match(String(text), detail);
      assert.equal(said, status);
      assert.equal(type, 'about:blank');
      assert.ok(typeof title === 'string' && typeof code === 'string');
      assert.equal(store.clients.count(), before);
    });
  }

  it('wants JSON and says so', async () => {
    const { status, reply } = await send('POST', '/admin/v1/clients', {
      headers: { 'content-type': 'text/plain' },
      body: '{"name":"a"}',
    });
    assert.equal(status, 415);
    assert.match(String(reply.detail), /JSON/);
  });

  it('refuses an expiry that is past or not a date', async () => {
    const path = `${await newClientPath()}/keys`;
    for (const expires_at of [
      '2001-01-01T00:00:00Z',
      'tomorrow',
      '2030-02-31T00:00:00Z',
      '2030-13-01T00:00:00Z',
    ]) {
      const { status, reply } = await post(path, { mode: 'live', expires_at });
      assert.equal(status, 400, expires_at);
      assert.match(String(reply.detail), /expires_at/);
    }
    assert.deepEqual((await send('GET', path)).reply, { keys: [], next: null });
  });

  it("does not revoke another client's key", async () => {
    const [mine, theirs] = [await newClientPath(), await newClientPath()];
    const { reply } = await post(`${theirs}/keys`, { mode: 'live' });
    const { status } = await send('DELETE', `${mine}/keys/${reply.key_id}`);
    assert.equal(status, 404);
    authenticator.authenticate(String(reply.key));
  });

  it('survives bytes that are no HTTP', async () => {
    const { port } = new URL(url);
    const socket = connect(Number(port), '127.0.0.1');
    socket.write('\x16\x03\x01 hello\r\n\r\n');
    let text = '';
    for await (const chunk of socket) text += chunk;
    assert.match(text, /^HTTP\/1.1 400/);
    assert.equal((await send('GET', '/admin/v1/status')).status, 200);
  });
});
