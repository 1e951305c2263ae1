/** Clients over the admin API: what an operator does to them, and what the audit log says of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AdminRig, type Reply } from './admin-rig.ts';

const DAY_MS = 86_400_000;

test('a client is renamed, put on a plan and given limits of its own', async (t) => {
  const rig = await AdminRig.start(t);
  const path = await rig.client();
  const overrides = { requests_per_second: 500, points: 7 };
  const change = { name: 'Acme 2', plan: 'free', overrides };
  const { status, headers, reply } = await rig.send('PATCH', path, change);
  assert.equal(status, 200);
  assert.equal(headers.get('etag'), '"2"');
  assert.deepEqual([reply.name, reply.plan, reply.overrides], ['Acme 2', 'free', overrides]);
  assert.deepEqual((await rig.send('GET', path)).reply, reply);
  const cleared = await rig.send('PATCH', path, { overrides: {} });
  assert.deepEqual([cleared.reply.name, cleared.reply.overrides], ['Acme 2', {}]);
});

test('of two operators who change one client, the second hears of the first', async (t) => {
  const rig = await AdminRig.start(t);
  const path = await rig.client();
  const etag = (await rig.send('GET', path)).headers.get('etag') ?? '';
  const changes = ['a', 'b'].map((name) => {
    return rig.send('PATCH', path, { name }, { 'if-match': etag });
  });
  const answers = await Promise.all(changes);
  assert.deepEqual(answers.map(({ status }) => status).toSorted(), [200, 412]);
  const winner = answers.find(({ status }) => status === 200);
  assert.deepEqual((await rig.send('GET', path)).reply, winner?.reply);
  const late = answers.find(({ status }) => status === 412);
  assert.equal(late?.reply.code, 'precondition_failed');
});

test('a suspended client has no valid key, and all of them when it is resumed', async (t) => {
  const rig = await AdminRig.start(t);
  const path = await rig.client();
  const { key } = (await rig.send('POST', `${path}/keys`, { mode: 'live' })).reply;
  const authenticate = () => rig.authenticator.authenticate(String(key));
  authenticate();
  const { reply } = await rig.send('POST', `${path}/suspend`, { reason: 'unpaid' });
  assert.deepEqual([reply.state, reply.reason], ['suspended', 'unpaid']);
  assert.throws(authenticate, { code: 'unauthenticated' });
  const resumed = await rig.send('POST', `${path}/resume`);
  assert.deepEqual([resumed.reply.state, resumed.reply.reason], ['active', null]);
  authenticate();
});

test('each change has its row in the audit log, with its request, and no secret', async (t) => {
  const rig = await AdminRig.start(t);
  const path = await rig.client();
  const id = path.split('/').at(-1);
  const made = await rig.send('POST', `${path}/keys`, { mode: 'test', name: 'ci' });
  const changed = await rig.send('PATCH', path, { name: 'b' });
  await rig.send('PATCH', path, { name: ' ' });
  await rig.send('DELETE', `${path}/keys/${made.reply.key_id}`);
  const entries = await rig.audit();
  assert.deepEqual(
    entries.map(({ action, target }) => [action, target]),
    [
      ['client.create', id],
      ['key.create', made.reply.key_id],
      ['client.update', id],
      ['key.revoke', made.reply.key_id],
    ],
  );
  const update = entries[2] as Record<string, Record<string, unknown>>;
  assert.deepEqual([update.before?.name, update.after?.name], ['acme', 'b']);
  assert.equal(update.request_id, changed.headers.get('x-request-id'));
  assert.ok(!JSON.stringify(entries).includes(String(made.reply.key)));
  const { reply } = await rig.send('GET', '/audit?limit=3');
  assert.equal(reply.next, 3);
  const rest = await rig.send('GET', '/audit?after=3');
  assert.deepEqual(rest.reply, { entries: entries.slice(3), next: null });
});

const BAD = [
  [{}, { plan: 'gold' }, /plan/],
  [{}, { overrides: { points: -1 } }, /overrides\.points.*whole number/],
  [{}, { overrides: { points: 1.5 } }, /overrides\.points/],
  [{}, { overrides: { points: '5' } }, /overrides\.points/],
  [{}, { overrides: { pionts: 5 } }, /overrides.*pionts.*requests_per_second/],
  [{}, { overrides: { constructor: 5 } }, /overrides.*constructor/],
  [{}, { overrides: null }, /overrides/],
  [{}, { name: '' }, /name/],
  [{}, { state: 'active' }, /state/],
  [{ 'if-match': 'W/"1"' }, { name: 'a' }, /If-Match/],
] as const;

test('a bad change is refused with the field named, and changes nothing', async (t) => {
  const rig = await AdminRig.start(t);
  const path = await rig.client();
  const before = (await rig.send('GET', path)).reply;
  for (const [headers, body, detail] of BAD) {
    const { status, reply } = await rig.send('PATCH', path, body, headers);
    assert.equal(status, 400, JSON.stringify(body));
    assert.match(String(reply.detail), detail);
  }
  const { status, reply } = await rig.send('POST', `${path}/suspend`, {});
  assert.deepEqual([status, /reason/.test(String(reply.detail))], [400, true]);
  const stranger = '/clients/cl_aaaaaaaaaaaaaaaa';
  for (const [method, at, body] of [
    ['GET', stranger, undefined],
    ['PATCH', stranger, { name: 'a' }],
    ['POST', `${stranger}/suspend`, { reason: 'a' }],
    ['POST', `${stranger}/resume`, undefined],
  ] as const) {
    assert.equal((await rig.send(method, at, body)).status, 404, `${method} ${at}`);
  }
  assert.deepEqual((await rig.send('GET', path)).reply, before);
  assert.equal((await rig.audit()).length, 1);
});

test('of operators who suspend, resume and delete at once, the last in the audit log has its way', async (t) => {
  const rig = await AdminRig.start(t);
  const path = await rig.client();
  const { key } = (await rig.send('POST', `${path}/keys`, { mode: 'live' })).reply;
  const actions = [
    () => rig.send('POST', `${path}/suspend`, { reason: 'a' }),
    () => rig.send('POST', `${path}/resume`),
    () => rig.send('DELETE', `${path}?grace_seconds=60`),
  ];
  for (let round = 0; round < 20; round += 1) {
    await Promise.all(actions.map((_, i) => actions[(i + round) % actions.length]?.()));
    const { reply } = await rig.send('GET', path);
    const last = (await rig.audit()).at(-1);
    const after = last?.after as Reply;
    assert.deepEqual([after.state, after.reason], [reply.state, reply.reason]);
    const holds = () => rig.authenticator.authenticate(String(key));
    if (reply.state === 'active') holds();
    else assert.throws(holds, { code: 'unauthenticated' });
    await rig.send('POST', `${path}/resume`);
    if (reply.state !== 'active') await rig.send('POST', `${path}/resume`);
  }
});

test('a deleted client has no valid key, can be restored, and is erased when its grace is over', async (t) => {
  const rig = await AdminRig.start(t);
  const path = await rig.client();
  const { key } = (await rig.send('POST', `${path}/keys`, { mode: 'live' })).reply;
  const authenticate = () => rig.authenticator.authenticate(String(key));
  authenticate();
  const deleted = await rig.send('DELETE', path);
  assert.equal(deleted.reply.state, 'deleting');
  assert.equal(deleted.reply.erase_at, new Date(rig.clock.now() + 7 * DAY_MS).toISOString());
  assert.throws(authenticate, { code: 'unauthenticated' });
  const restored = await rig.send('POST', `${path}/resume`);
  assert.deepEqual([restored.reply.state, restored.reply.erase_at], ['active', null]);
  authenticate();

  await rig.send('DELETE', `${path}?grace_seconds=100`);
  rig.left.collections = 2;
  rig.clock.advance(100_000);
  await settled();
  assert.equal((await rig.send('GET', path)).status, 200, 'collections are left');
  const late = await rig.send('POST', `${path}/resume`);
  assert.deepEqual([late.status, late.reply.code], [409, 'conflict']);
  rig.left.collections = 0;
  rig.clock.advance(1_000);
  await settled();
  assert.equal((await rig.send('GET', path)).status, 404);
  assert.equal((await rig.send('GET', `${path}/keys`)).status, 404);
  const last = (await rig.audit()).at(-1);
  assert.deepEqual([last?.actor, last?.action, last?.after], ['system', 'client.erase', null]);
  assert.equal(deletedPoints(last), 14, 'those of both tries');
  assert.throws(authenticate, { code: 'unauthenticated' });
});

test('the grace of a deletion is shortened to nothing; a suspended client is restored suspended', async (t) => {
  const rig = await AdminRig.start(t);
  const path = await rig.client();
  await rig.send('POST', `${path}/suspend`, { reason: 'unpaid' });
  await rig.send('DELETE', path);
  const { reply } = await rig.send('POST', `${path}/resume`);
  assert.deepEqual([reply.state, reply.reason], ['suspended', 'unpaid']);
  const first = await rig.send('DELETE', `${path}?grace_seconds=5000`);
  const again = await rig.send('DELETE', path);
  assert.equal(again.reply.erase_at, first.reply.erase_at, 'it is not put off by repeating it');
  await rig.send('DELETE', `${path}?grace_seconds=0`);
  await settled();
  assert.equal((await rig.send('GET', path)).status, 404);
  for (const grace of ['-1', '1.5', 'x', '7776001']) {
    const bad = await rig.send('DELETE', `${await rig.client()}?grace_seconds=${grace}`);
    assert.deepEqual([bad.status, bad.reply.field], [400, 'grace_seconds'], grace);
  }
});

test('how many points an erased client had is not said when a part could not be counted', async (t) => {
  const rig = await AdminRig.start(t);
  const path = await rig.client();
  rig.left.collections = 1;
  rig.left.points = undefined;
  await rig.send('DELETE', `${path}?grace_seconds=0`);
  await settled();
  rig.left.collections = 0;
  rig.left.points = 7;
  rig.clock.advance(1_000);
  await settled();
  const last = (await rig.audit()).at(-1);
  assert.deepEqual([last?.action, deletedPoints(last)], ['client.erase', null]);
});

/** What the entry of an erasure says. */
function deletedPoints(entry: object | undefined): unknown {
  const { before } = entry as { before: { deleted_points: unknown } };
  return before.deleted_points;
}

test('an erasure that has begun is not taken back by a clock that is set', async (t) => {
  const rig = await AdminRig.start(t);
  const path = await rig.client();
  rig.left.collections = 1;
  await rig.send('DELETE', `${path}?grace_seconds=0`);
  await settled();
  rig.clock.advance(-60_000);
  const late = await rig.send('POST', `${path}/resume`);
  assert.deepEqual([late.status, late.reply.code], [409, 'conflict']);
  assert.equal((await rig.send('POST', `${path}/suspend`, { reason: 'r' })).status, 409);
  assert.equal((await rig.send('DELETE', `${path}?grace_seconds=600`)).status, 409);
});

/** What was begun in this turn of the event loop has come to its end. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
