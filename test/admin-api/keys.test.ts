/** Keys over the admin API: what they may do, rotation with grace, extension, and repetition. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AdminRig, type Answer, type Reply } from './admin-rig.ts';

const HOUR_MS = 3_600_000;

async function startWithKey(t: Parameters<typeof AdminRig.start>[0], terms: Reply = {}) {
  const rig = await AdminRig.start(t);
  const client = await rig.client();
  const created = await rig.send('POST', `${client}/keys`, { mode: 'live', ...terms });
  assert.equal(created.status, 201, JSON.stringify(created.reply));
  const path = `${client}/keys/${created.reply.key_id}`;
  const holds = (answer: Answer): boolean => {
    try {
      return (
        rig.authenticator.authenticate(String(answer.reply.key)).keyId === created.reply.key_id
      );
    } catch {
      return false;
    }
  };
  return { rig, client, created, path, holds };
}

test('a rotated key has two secrets for a day, then the new one', async (t) => {
  const { rig, created, path, holds } = await startWithKey(t);
  assert.ok(holds(created));
  const rotated = await rig.send('POST', `${path}/rotate`);
  assert.equal(rotated.status, 200);
  assert.notEqual(rotated.reply.key, created.reply.key);
  const [current, old] = rotated.reply.secrets as Reply[];
  assert.equal(current?.ends_at, null);
  assert.equal(old?.ends_at, new Date(rig.clock.now() + 24 * HOUR_MS).toISOString());
  assert.deepEqual([holds(created), holds(rotated)], [true, true]);
  rig.clock.advance(24 * HOUR_MS - 1);
  assert.deepEqual([holds(created), holds(rotated)], [true, true]);
  rig.clock.advance(1);
  assert.deepEqual([holds(created), holds(rotated)], [false, true]);
  const { reply } = await rig.send('GET', path);
  assert.deepEqual(reply.secrets, [current]);
  const again = await rig.send('POST', `${path}/rotate`, { grace_seconds: 60 });
  assert.deepEqual([holds(rotated), holds(again)], [true, true]);
});

test('"now" ends every older secret; a grace never ends one that still holds', async (t) => {
  const { rig, created, path, holds } = await startWithKey(t);
  const second = await rig.send('POST', `${path}/rotate`, { grace_seconds: 600 });
  const third = await rig.send('POST', `${path}/rotate`, { grace_seconds: 600 });
  assert.deepEqual([third.status, third.reply.code], [409, 'conflict']);
  assert.match(String(third.reply.detail), /still holds, until 20/);
  assert.deepEqual([holds(created), holds(second)], [true, true]);
  const now = await rig.send('POST', `${path}/rotate`, { grace_seconds: 0 });
  assert.deepEqual([holds(created), holds(second), holds(now)], [false, false, true]);
  assert.equal((now.reply.secrets as Reply[]).length, 1);
});

test('of two operators who rotate at once, each order ends with what the last one said', async (t) => {
  const { rig, created, path, holds } = await startWithKey(t);
  const rotations = [{ grace_seconds: 0 }, { grace_seconds: 600 }, { grace_seconds: 0 }];
  const answers = await Promise.all(
    rotations.map((body) => rig.send('POST', `${path}/rotate`, body)),
  );
  const good = answers.filter(({ status }) => status === 200);
  const { reply } = await rig.send('GET', path);
  const live = [created, ...good].filter(holds);
  assert.ok(live.length === (reply.secrets as Reply[]).length && live.length <= 2);
  assert.equal(holds(created), false, 'one of them said "now"');
  const { version } = reply;
  const stale = await rig.send(
    'POST',
    `${path}/rotate`,
    {},
    { 'if-match': `"${Number(version) - 1}"` },
  );
  assert.equal(stale.status, 412);
});

test('the grace of an older secret is cut short or drawn out', async (t) => {
  const { rig, created, path, holds } = await startWithKey(t);
  const early = await rig.send('PATCH', path, { grace_seconds: 60 });
  assert.deepEqual([early.status, early.reply.code], [409, 'conflict']);
  await rig.send('POST', `${path}/rotate`, { grace_seconds: 60 });
  await rig.send('PATCH', path, { grace_seconds: 120 });
  rig.clock.advance(119_000);
  assert.ok(holds(created));
  const ended = await rig.send('PATCH', path, { grace_seconds: 0 });
  assert.equal((ended.reply.secrets as Reply[]).length, 1);
  assert.equal(holds(created), false);
  for (const seconds of [-1, 604_801, 1.5, '60']) {
    const refused = await rig.send('POST', `${path}/rotate`, { grace_seconds: seconds });
    assert.deepEqual([refused.status, refused.reply.field], [400, 'grace_seconds'], `${seconds}`);
  }
});

test('a key is extended, also after it has expired', async (t) => {
  const start = Date.parse('2023-11-14T23:00:00Z');
  const expires_at = new Date(start).toISOString();
  const { rig, created, path, holds } = await startWithKey(t, { expires_at });
  assert.ok(holds(created));
  rig.clock.advance(start - rig.clock.now());
  assert.equal(holds(created), false);
  const later = new Date(start + HOUR_MS).toISOString();
  const extended = await rig.send('PATCH', path, { expires_at: later });
  assert.equal(extended.reply.expires_at, later);
  assert.ok(holds(created));
  const forever = await rig.send('PATCH', path, { expires_at: null });
  assert.equal(forever.reply.expires_at, null);
  rig.clock.advance(1_000 * HOUR_MS);
  assert.ok(holds(created));
});

test('role, namespaces and rate of a key are changed for its next request', async (t) => {
  const { rig, created, path } = await startWithKey(t, { namespaces: ['eu'], role: 'reader' });
  const principal = () => rig.authenticator.authenticate(String(created.reply.key));
  assert.deepEqual([principal().role, principal().namespace], ['reader', 'eu']);
  const terms = { role: 'analyst', namespaces: ['us', 'default'], requests_per_second: 7 };
  const { status, reply } = await rig.send('PATCH', path, terms);
  assert.equal(status, 200);
  assert.deepEqual(
    [
      principal().role,
      principal().namespaces,
      principal().namespace,
      principal().requestsPerSecond,
    ],
    ['analyst', ['us', 'default'], 'default', 7],
  );
  assert.equal(reply.version, 2);
  const all = await rig.send('PATCH', path, { namespaces: null, requests_per_second: null });
  assert.deepEqual([all.reply.namespaces, all.reply.requests_per_second], [null, null]);
  for (const [bad, field] of [
    [{ namespaces: [] }, 'namespaces'],
    [{ namespaces: ['eu', 'E U'] }, 'namespaces[1]'],
    [{ namespaces: Array.from({ length: 101 }, (_, i) => `n${i}`) }, 'namespaces'],
    [{ requests_per_second: 0 }, 'requests_per_second'],
    [{ role: 'owner' }, 'role'],
  ] as const) {
    const refused = await rig.send('PATCH', path, bad);
    assert.deepEqual([refused.status, refused.reply.field], [400, field]);
  }
});

test('a key is revoked and rotated only at the version that was seen, and no change is a mistake', async (t) => {
  const { rig, path } = await startWithKey(t);
  const stale = { 'if-match': '"7"' };
  assert.equal((await rig.send('DELETE', path, undefined, stale)).status, 412);
  assert.equal((await rig.send('POST', `${path}/rotate`, {}, stale)).status, 412);
  assert.equal((await rig.send('PATCH', path, {})).status, 400);
  assert.equal((await rig.send('GET', path)).reply.version, 1);
});

test('the grace of a secret is 7 days from its rotation at most, however often it is drawn out', async (t) => {
  const { rig, created, path, holds } = await startWithKey(t);
  await rig.send('POST', `${path}/rotate`);
  for (let day = 0; day < 7; day += 1) {
    await rig.send('PATCH', path, { grace_seconds: 7 * 24 * 3_600 });
    assert.ok(holds(created), `day ${day}`);
    rig.clock.advance(24 * HOUR_MS);
  }
  assert.equal(holds(created), false);
});

test('a revoked key is neither rotated nor changed, and revoking it again says nothing new', async (t) => {
  const { rig, path } = await startWithKey(t);
  await rig.send('DELETE', path);
  const rows = (await rig.audit()).length;
  assert.equal((await rig.send('DELETE', path)).status, 200);
  assert.equal((await rig.send('POST', `${path}/rotate`)).status, 409);
  assert.equal((await rig.send('PATCH', path, { name: 'n' })).status, 409);
  assert.equal((await rig.audit()).length, rows);
});

test('when a key was used last stands there to the minute', async (t) => {
  const { rig, created, path, holds } = await startWithKey(t);
  assert.equal((await rig.send('GET', path)).reply.last_used_at, null);
  holds(created);
  const at = new Date(rig.clock.now()).toISOString();
  rig.clock.advance(60_000);
  assert.equal((await rig.send('GET', path)).reply.last_used_at, at);
});

test('a creation that is repeated with its Idempotency-Key makes nothing more', async (t) => {
  const rig = await AdminRig.start(t);
  const path = await rig.client();
  const headers = { 'idempotency-key': 'a7c2' };
  const create = (body: Reply, key = headers) => rig.send('POST', `${path}/keys`, body, key);
  const first = await create({ mode: 'live', name: 'k' });
  const again = await create({ mode: 'live', name: 'k' });
  assert.equal(again.status, 201);
  assert.deepEqual(again.reply, first.reply);
  assert.equal(((await rig.send('GET', `${path}/keys`)).reply.keys as Reply[]).length, 1);
  const other = await create({ mode: 'live', name: 'other' });
  assert.deepEqual([other.status, other.reply.field], [409, 'Idempotency-Key']);
  const body = { mode: 'live', name: 'k' };
  const elsewhere = await rig.send('POST', `${await rig.client()}/keys`, body, headers);
  assert.equal(elsewhere.status, 409, 'it is bound to its path, too');
  const rotated = await rig.send(
    'POST',
    `${path}/keys/${first.reply.key_id}/rotate`,
    {},
    { 'idempotency-key': 'r' },
  );
  const lost = await rig.send(
    'POST',
    `${path}/keys/${first.reply.key_id}/rotate`,
    {},
    { 'idempotency-key': 'r' },
  );
  assert.equal(lost.reply.key, rotated.reply.key);
  rig.clock.advance(24 * HOUR_MS + 1);
  const later = await create({ mode: 'live', name: 'k' });
  assert.notEqual(later.reply.key_id, first.reply.key_id, 'a day later it is another request');
  const bad = await create({ mode: 'live' }, { 'idempotency-key': 'a b' });
  assert.deepEqual([bad.status, bad.reply.field], [400, 'Idempotency-Key']);
});

test('a creation that failed is not kept', async (t) => {
  const rig = await AdminRig.start(t);
  const headers = { 'idempotency-key': 'k' };
  const body = { name: 'a', plan: 'gold' };
  assert.equal((await rig.send('POST', '/clients', body, headers)).status, 400);
  const { reply } = await rig.send('GET', '/plans/free');
  await rig.send('PUT', '/plans/gold', { limits: reply.limits, prices: reply.prices });
  assert.equal((await rig.send('POST', '/clients', body, headers)).status, 201);
});
