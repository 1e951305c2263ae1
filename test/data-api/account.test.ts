/** What a client does by itself: its keys within the reach of the key that asks, limits and use. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { test } from 'node:test';
import type { NewKey } from '../../coordinator/control-plane/keys.ts';
import type { ShardOwner } from '../../coordinator/ledger/entries.ts';
import { ManualClock, systemClock } from '../../shared/base/clock.ts';
import type { ShardId } from '../../shared/base/ids.ts';
import { hourOf } from '../../shared/protocol/meter.ts';
import type { Cleanup } from '../harness/cleanup.ts';
import { CLIENT_A, CLIENT_B, type DataRig, startRig } from './data-rig.ts';

const ORIGIN = { actor: 'operator', requestId: 'req_aaaaaaaaaaaaaaaa' };

async function start(t: Cleanup) {
  const rig = await startRig(t);
  const make = (terms: Partial<NewKey> = {}, clientId: string = CLIENT_A) => {
    return rig.keys.create(ORIGIN, { clientId, mode: 'live', ...terms });
  };
  return { rig, make };
}

function ask(rig: DataRig, key: { secret: string }, method: string, path: string, body?: unknown) {
  return rig.call(method, path, body, { 'api-key': key.secret });
}

test('a key knows itself and its client', async (t) => {
  const { rig, make } = await start(t);
  const key = make({ role: 'monitor', name: 'probe' });
  const { status, json } = await ask(rig, key, 'GET', '/v1/me');
  assert.equal(status, 200);
  assert.equal(json.result.client_id, CLIENT_A);
  assert.deepEqual([json.result.key.name, json.result.key.role], ['probe', 'monitor']);
  assert.ok(!JSON.stringify(json).includes(key.secret.slice(16)));
});

test('limits are shown with what of them is used', async (t) => {
  const { rig, make } = await start(t);
  const key = make();
  await ask(rig, key, 'PUT', '/collections/c', { vectors: { size: 4, distance: 'Dot' } });
  await ask(rig, key, 'PUT', '/collections/c/points', {
    points: [{ id: 1, vector: [1, 2, 3, 4] }],
  });
  const { json } = await ask(rig, key, 'GET', '/v1/limits');
  assert.equal(json.result.limits.points, 1_000_000_000);
  const used = { points: 1, bytes: 16, collections: 1, namespaces: 1, keys: 1, in_flight: 1 };
  assert.deepEqual(json.result.used, used);
});

test('a key makes lesser keys, shows them once, rotates and revokes them', async (t) => {
  const { rig, make } = await start(t);
  const admin = make();
  const made = await ask(rig, admin, 'POST', '/v1/keys', {
    mode: 'live',
    role: 'reader',
    name: 'r',
  });
  assert.equal(made.status, 200, made.text);
  assert.equal(made.headers.get('cache-control'), 'no-store');
  const { key: secret, key_id: keyId } = made.json.result;
  assert.equal((await ask(rig, { secret }, 'GET', '/collections')).status, 200);
  const listed = await ask(rig, admin, 'GET', '/v1/keys');
  assert.equal(listed.json.result.keys.length, 2);
  assert.ok(!listed.text.includes(secret.slice(16)));
  const rotated = await ask(rig, admin, 'POST', `/v1/keys/${keyId}/rotate`, { grace_seconds: 0 });
  assert.equal((await ask(rig, { secret }, 'GET', '/collections')).status, 401);
  const next = { secret: rotated.json.result.key };
  assert.equal((await ask(rig, next, 'GET', '/collections')).status, 200);
  assert.equal((await ask(rig, admin, 'DELETE', `/v1/keys/${keyId}`)).status, 200);
  assert.equal((await ask(rig, next, 'GET', '/collections')).status, 401);
  const entries = rig.store.adminAudit.page(0, 100).filter(({ action }) => action !== 'key.create');
  assert.deepEqual(
    entries.map(({ action, actor, target }) => [action, actor, target]),
    [
      ['key.rotate', admin.record.keyId, keyId],
      ['key.revoke', admin.record.keyId, keyId],
    ],
  );
});

test('a key gives nothing that it has not', async (t) => {
  const { rig, make } = await start(t);
  const day = Date.now() + 86_400_000;
  const bound = make({ namespaces: ['eu', 'us'], expiresAt: day });
  const create = (terms: object) => ask(rig, bound, 'POST', '/v1/keys', { mode: 'live', ...terms });
  for (const [terms, sentence] of [
    [{ role: 'admin' }, /role: must be one that may do less than "admin"/],
    [{}, /role/],
    [{ role: 'reader', namespaces: null }, /namespaces/],
    [{ role: 'reader', namespaces: ['default'] }, /namespaces/],
    [{ role: 'reader', expires_at: new Date(day + 1_000).toISOString() }, /expires_at/],
  ] as const) {
    const { status, json } = await create(terms);
    assert.equal(status, 400, JSON.stringify(terms));
    assert.match(json.status.error, sentence);
  }
  const made = await create({ role: 'writer', namespaces: ['us'] });
  assert.deepEqual(made.json.result.namespaces, ['us']);
  assert.equal(made.json.result.expires_at, new Date(day).toISOString());
  assert.deepEqual((await create({ role: 'reader' })).json.result.namespaces, ['eu', 'us']);
  const testKey = make({ mode: 'test' });
  const up = await ask(rig, testKey, 'POST', '/v1/keys', { mode: 'live', role: 'reader' });
  assert.equal(up.status, 403);
});

test('a key that is asked for again gets the answer that was lost', async (t) => {
  const { rig, make } = await start(t);
  const [one, other] = [make(), make()];
  const create = (secret: string) => {
    const headers = { 'api-key': secret, 'idempotency-key': 'x' };
    return rig.call('POST', '/v1/keys', { mode: 'live', role: 'reader' }, headers);
  };
  const [first, again, strangers] = [
    await create(one.secret),
    await create(one.secret),
    await create(other.secret),
  ];
  assert.deepEqual(again.json.result, first.json.result);
  assert.notEqual(strangers.json.result.key_id, first.json.result.key_id, 'it is its own');
});

test('a key that ends, or is slowed, makes no secret that is not', async (t) => {
  const { rig, make } = await start(t);
  const bound = make({ expiresAt: Date.now() + 60_000, requestsPerSecond: 50 });
  const [peer, lasting] = [make(), make({ role: 'reader' })];
  const fast = make({ role: 'reader', expiresAt: Date.now() + 50_000 });
  for (const { record } of [peer, lasting, fast]) {
    const rotated = await ask(rig, bound, 'POST', `/v1/keys/${record.keyId}/rotate`, {});
    assert.deepEqual([rotated.status, rotated.json.code], [403, 'forbidden']);
  }
  const made = await ask(rig, bound, 'POST', '/v1/keys', { mode: 'live', role: 'reader' });
  assert.equal(made.json.result.requests_per_second, 50);
  const rotated = await ask(rig, bound, 'POST', `/v1/keys/${made.json.result.key_id}/rotate`, {});
  assert.equal(rotated.status, 200);
  const faster = { mode: 'live', role: 'reader', requests_per_second: 51 };
  assert.equal((await ask(rig, bound, 'POST', '/v1/keys', faster)).status, 400);
  const self = await ask(rig, bound, 'POST', `/v1/keys/${bound.record.keyId}/rotate`, {});
  assert.equal(self.status, 200);
  const gone = await ask(rig, bound, 'DELETE', `/v1/keys/${peer.record.keyId}`);
  assert.equal(gone.status, 200, 'it may revoke a peer');
});

test('a request whose key is revoked before its body has come is refused', async (t) => {
  const { rig, make } = await start(t);
  const key = make();
  const peer = make();
  const requests: [path: string, body: string][] = [
    ['/v1/keys', '{"mode":"live","role":"reader"}'],
    [`/v1/keys/${peer.record.keyId}/rotate`, '{}'],
    ['/collections/c/points/count', '{}'],
  ];
  await ask(rig, key, 'PUT', '/collections/c', { vectors: { size: 4, distance: 'Dot' } });
  const halfSent = await Promise.all(
    requests.map((request) => HalfSent.start(rig.url, key.secret, ...request)),
  );
  rig.keys.revoke(ORIGIN, { clientId: CLIENT_A, keyId: key.record.keyId });
  for (const [i, request] of halfSent.entries()) {
    assert.match(await request.finish(), /^HTTP\/1\.1 401 /, requests[i]?.[0]);
  }
  assert.equal((await ask(rig, peer, 'GET', '/v1/me')).status, 200);
  const large = await rig.call('POST', '/v1/keys', ' '.repeat(100_000), { 'api-key': peer.secret });
  assert.equal(large.status, 413);
});

/** A POST whose last byte is held back. */
class HalfSent {
  readonly #socket: Socket;

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Resolves when its key has been looked at: the service asks for the body. */
  static async start(url: string, key: string, path: string, body: string): Promise<HalfSent> {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    const header = [
      ...[`POST ${path} HTTP/1.1`, 'Host: x', `api-key: ${key}`, 'Connection: close'],
      ...[
        'Content-Type: application/json',
        `Content-Length: ${body.length}`,
        'Expect: 100-continue',
      ],
    ];
    socket.write(`${header.join('\r\n')}\r\n\r\n`);
    const [chunk] = (await once(socket, 'data')) as [Buffer];
    assert.match(chunk.toString(), /^HTTP\/1\.1 100 /);
    socket.write(body.slice(0, -1));
    return new HalfSent(socket);
  }

  async finish(): Promise<string> {
    this.#socket.write('}');
    let text = '';
    for await (const chunk of this.#socket) text += chunk;
    return text;
  }
}

test('a secret in its grace makes nothing that outlasts it', async (t) => {
  const { rig, make } = await start(t);
  const old = make();
  const target = { clientId: CLIENT_A, keyId: old.record.keyId };
  const { secret } = rig.keys.rotate(ORIGIN, target, { graceSeconds: 60 });
  const made = await ask(rig, old, 'POST', '/v1/keys', { mode: 'live', role: 'writer' });
  const endsAt = Date.parse(made.json.result.expires_at);
  assert.ok(endsAt > Date.now() && endsAt <= Date.now() + 60_000);
  const late = { mode: 'live', role: 'writer', expires_at: '2100-01-01T00:00:00Z' };
  assert.equal((await ask(rig, old, 'POST', '/v1/keys', late)).status, 400);
  const path = `/v1/keys/${old.record.keyId}/rotate`;
  const taken = await ask(rig, old, 'POST', path, { grace_seconds: 0 });
  assert.deepEqual([taken.status, taken.json.code], [403, 'forbidden']);
  assert.equal((await ask(rig, { secret }, 'POST', path, { grace_seconds: 0 })).status, 200);
});

test('a request whose secret ends before its body has come is refused', async (t) => {
  const clock = new ManualClock(Date.now());
  const rig = await startRig(t, { clock });
  const key = { clientId: CLIENT_A, mode: 'live', expiresAt: clock.now() + 1_000 } as const;
  const { secret } = rig.keys.create(ORIGIN, key);
  const body = '{"mode":"live","role":"reader"}';
  const request = await HalfSent.start(rig.url, secret, '/v1/keys', body);
  clock.advance(1_000);
  assert.match(await request.finish(), /^HTTP\/1\.1 401 /);
});

test('what is beyond the reach of a key is not there', async (t) => {
  const { rig, make } = await start(t);
  const [everywhere, inEu, testAdmin] = [
    make({ namespaces: null }),
    make({ namespaces: ['eu'] }),
    make({ mode: 'test', namespaces: null }),
  ];
  const strangers = make({}, 'cl_bbbbbbbbbbbbbbbb');
  const missing = await ask(rig, inEu, 'DELETE', '/v1/keys/key_zzzzzzzzzzzzzzzz');
  assert.equal(missing.status, 404);
  for (const target of [everywhere, strangers]) {
    const path = `/v1/keys/${target.record.keyId}`;
    for (const [method, at] of [
      ['GET', path],
      ['DELETE', path],
      ['POST', `${path}/rotate`],
    ] as const) {
      const { status, json } = await ask(rig, inEu, method, at, method === 'POST' ? {} : undefined);
      assert.equal(status, 404, `${method} ${at}`);
      assert.deepEqual(json.status, missing.json.status);
    }
  }
  const idsOf = async (key: { secret: string }) => {
    const { json } = await ask(rig, key, 'GET', '/v1/keys');
    return json.result.keys.map(({ key_id }: { key_id: string }) => key_id).toSorted();
  };
  const ids = [everywhere, inEu, testAdmin].map(({ record }) => record.keyId);
  assert.deepEqual(await idsOf(everywhere), ids.toSorted());
  assert.deepEqual(await idsOf(inEu), [inEu.record.keyId]);
  assert.deepEqual(await idsOf(testAdmin), [testAdmin.record.keyId]);
});

test('the listing goes page by page', async (t) => {
  const { rig, make } = await start(t);
  const admin = make();
  for (let i = 0; i < 4; i += 1) make({ role: 'reader' });
  const first = await ask(rig, admin, 'GET', '/v1/keys?limit=3');
  const { keys, next } = first.json.result;
  const rest = await ask(rig, admin, 'GET', `/v1/keys?limit=3&after=${next}`);
  assert.deepEqual(
    [keys.length, rest.json.result.keys.length, rest.json.result.next],
    [3, 2, null],
  );
  const eu = make({ namespaces: ['eu'] });
  const only = await ask(rig, eu, 'GET', '/v1/keys?limit=1');
  assert.deepEqual([only.json.result.keys.length, only.json.result.next], [1, null], 'no other id');
  const bad = await ask(rig, admin, 'GET', '/v1/keys?page=2');
  assert.equal(bad.status, 400);
});

test('a key with a rate of its own hears of it, and leaves the others their share', async (t) => {
  const { rig, make } = await start(t);
  const slow = make({ requestsPerSecond: 1 });
  const other = make();
  const answers = [];
  for (let i = 0; i < 4; i += 1) answers.push(await ask(rig, slow, 'GET', '/collections'));
  const refused = answers.find(({ status }) => status === 429);
  assert.match(refused?.json.status.error, /more than 1 requests a second of this key/);
  assert.match(refused?.headers.get('ratelimit-policy') ?? '', /^"key";q=2;w=2$/);
  assert.match(answers[0]?.headers.get('ratelimit-policy') ?? '', /^"key";q=2;w=2, "client";q=/);
  assert.equal((await ask(rig, other, 'GET', '/collections')).status, 200);
});

test('usage is that of the mode of the key that asks, and of its namespaces', async (t) => {
  const { rig, make } = await start(t);
  const note = async (shard: string, owner: Partial<ShardOwner>, written: number) => {
    const hour = hourOf(systemClock.now());
    await rig.ledger.append({
      kind: 'writes',
      shardId: shard as ShardId,
      owner: { clientId: CLIENT_A, mode: 'live', namespace: 'default', ...owner },
      after: 0,
      upTo: 1,
      sums: [{ key: 'key_x', hour, writes: 1, written, deleted: 0, bytes: 0 }],
      isLast: false,
    });
  };
  await note('1', {}, 1);
  await note('2', { namespace: 'b' }, 10);
  await note('3', { mode: 'test' }, 100);
  await note('4', { clientId: CLIENT_B }, 1_000);
  const writtenBy = async (terms: Partial<NewKey>) => {
    const { json } = await ask(rig, make(terms), 'GET', '/v1/usage?by=month');
    return json.result.total.points_written;
  };
  assert.equal(await writtenBy({ role: 'monitor', namespaces: null }), 11);
  assert.equal(await writtenBy({ namespaces: ['b'] }), 10);
  assert.equal(await writtenBy({ mode: 'test' }), 100);
  const refused = await ask(rig, make(), 'GET', '/v1/usage?from=2026-02-30');
  assert.deepEqual([refused.status, refused.json.code], [400, 'invalid_argument']);
});
