/** Webhooks and mail recipients as clients set them. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { ManualClock, systemClock } from '../../shared/base/clock.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { type DataRig, startRig } from './data-rig.ts';

const URL_OF_A = 'https://receiver.example/hooks/T0KEN?x=1';
const B = { 'api-key': 'b-live' };

function start(t: TestContext): Promise<DataRig> {
  return startRig(t, { clock: new ManualClock(systemClock.now()) });
}

async function create(rig: DataRig, body: object = { url: URL_OF_A }, headers = {}) {
  const { status, json, text } = await rig.call('POST', '/v1/webhooks', body, headers);
  assert.equal(status, 200, text);
  return json.result;
}

test('a webhook is made, shown without its secret, changed, rotated and removed', async (t) => {
  const rig = await start(t);
  const { secret, ...made } = await create(rig);
  assert.match(secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
  assert.deepEqual([made.url, made.types, made.enabled, made.version], [URL_OF_A, null, true, 1]);
  const path = `/v1/webhooks/${made.webhook_id}`;
  const shown = (await rig.call('GET', path)).json.result;
  assert.deepEqual(shown, made);
  assert.deepEqual((await rig.call('GET', '/v1/webhooks')).json.result, {
    webhooks: [made],
    next: null,
  });
  const types = ['key.expiring', 'budget.level'];
  const changed = (await rig.call('PATCH', path, { types, enabled: false })).json.result;
  assert.deepEqual(
    [changed.types, changed.enabled, changed.disabled_reason, changed.version],
    [types, false, 'owner', 2],
  );
  assert.equal((await rig.call('POST', `${path}/test`)).status, 409, 'it is disabled');
  assert.equal((await rig.call('PATCH', path, { enabled: true })).json.result.enabled, true);
  const rotated = (await rig.call('POST', `${path}/rotate`, { grace_seconds: 60 })).json.result;
  assert.notEqual(rotated.secret, secret);
  assert.ok(rotated.old_secret_ends_at);
  assert.equal((await rig.call('DELETE', path)).status, 200);
  assert.equal((await rig.call('GET', path)).status, 404);
  const audited = rig.store.adminAudit.page(0, 100);
  assert.deepEqual(
    audited.map(({ action }) => action),
    ['create', 'update', 'update', 'rotate', 'remove'].map((action) => `webhook.${action}`),
  );
  assert.doesNotMatch(JSON.stringify(audited), /whsec_|T0KEN/, 'nothing of it is a secret');
});

test('a creation that is repeated by its Idempotency-Key makes one webhook', async (t) => {
  const rig = await start(t);
  const headers = { 'idempotency-key': 'once' };
  const first = await create(rig, { url: URL_OF_A }, headers);
  assert.deepEqual(await create(rig, { url: URL_OF_A }, headers), first);
  assert.equal((await rig.call('GET', '/v1/webhooks')).json.result.webhooks.length, 1);
});

test('bad webhooks are refused with the field that is wrong', async (t) => {
  const rig = await start(t);
  const bad: [body: object, field: string, says: RegExp][] = [
    [{}, 'url', /missing/],
    [{ url: 5 }, 'url', /string/],
    [{ url: 'receiver.example' }, 'url', /not a URL/],
    [{ url: 'http://receiver.example/' }, 'url', /port 443/],
    [{ url: 'https://127.0.0.1/' }, 'url', /not public/],
    [{ url: 'https://[::ffff:10.0.0.1]/' }, 'url', /not public/],
    [{ url: 'https://169.254.169.254/latest/meta-data' }, 'url', /not public/],
    [{ url: URL_OF_A, types: [] }, 'types', /some of/],
    [{ url: URL_OF_A, types: ['worker.down'] }, 'types', /some of/],
    [{ url: URL_OF_A, enabled: true }, 'enabled', /unknown/],
  ];
  for (const [body, field, says] of bad) {
    const { status, json } = await rig.call('POST', '/v1/webhooks', body);
    assert.equal(status, 400, JSON.stringify(body));
    assert.ok(json.status.error.includes(field), json.status.error);
    assert.match(json.status.error, says);
  }
  const { webhook_id } = await create(rig);
  const path = `/v1/webhooks/${webhook_id}`;
  assert.equal((await rig.call('PATCH', path, {})).status, 400);
  assert.equal((await rig.call('PATCH', path, { url: 'https://10.0.0.1/' })).status, 400);
  assert.equal((await rig.call('POST', `${path}/rotate`, { grace_seconds: -1 })).status, 400);
  for (let i = 1; i < LIMITS.webhooksPerOwnerMax; i += 1) await create(rig);
  const more = await rig.call('POST', '/v1/webhooks', { url: URL_OF_A });
  assert.deepEqual([more.status, more.json.code], [403, 'quota_exceeded']);
});

test('what is another client’s is not there, whatever is done to it', async (t) => {
  const rig = await start(t);
  const { webhook_id } = await create(rig);
  const path = `/v1/webhooks/${webhook_id}`;
  const asked: [method: string, path: string, body?: object][] = [
    ['GET', path],
    ['PATCH', path, { enabled: false }],
    ['DELETE', path],
    ['POST', `${path}/rotate`, {}],
    ['POST', `${path}/test`],
    ['GET', `${path}/deliveries`],
    ['POST', `${path}/replay`, {}],
  ];
  for (const [method, at, body] of asked) {
    const foreign = await rig.call(method, at, body, B);
    const missing = await rig.call(method, at.replace(webhook_id, 'wh_aaaaaaaaaaaaaaaa'), body, B);
    assert.deepEqual([foreign.status, missing.status], [404, 404], `${method} ${at}`);
    assert.equal(foreign.json.status.error, missing.json.status.error);
  }
  assert.deepEqual((await rig.call('GET', '/v1/webhooks', undefined, B)).json.result.webhooks, []);
  assert.equal((await rig.call('GET', path)).json.result.enabled, true);
});

test('a test is told once a minute, and shows in the deliveries', async (t) => {
  const rig = await start(t);
  const { webhook_id } = await create(rig);
  const path = `/v1/webhooks/${webhook_id}`;
  const told = [1, 2].map(() => rig.call('POST', `${path}/test`));
  const answers = (await Promise.all(told)).map(({ json }) => json.result.told);
  assert.deepEqual(answers.toSorted(), [false, true]);
  const { deliveries, next } = (await rig.call('GET', `${path}/deliveries`)).json.result;
  assert.equal(next, null);
  assert.equal(deliveries.length, 1);
  const [{ type, state, attempts, status }] = deliveries;
  assert.deepEqual([type, state, attempts, status], ['notify.test', 'waiting', 0, null]);
  const { delivery_id } = deliveries[0];
  const replay = (body: object) => rig.call('POST', `${path}/replay`, body);
  assert.equal((await replay({ delivery_id })).status, 404, 'it is not dead');
  assert.equal((await replay({})).json.result.replayed, 0);
  rig.store.noticeDeliveries.end({ kind: 'webhook', target: webhook_id }, 'dead');
  assert.equal((await replay({ delivery_id })).json.result.replayed, 1);
});

test('mail recipients are set as a whole, checked one by one, and never audited', async (t) => {
  const rig = await start(t);
  const path = '/v1/notifications';
  const empty = { mail_enabled: true, mail: [] };
  assert.deepEqual((await rig.call('GET', path)).json.result, empty);
  assert.equal((await rig.call('POST', `${path}/test`)).status, 409, 'nobody would get it');
  const mail = [
    { address: 'ada@example.com', types: ['budget.level'] },
    { address: 'bob@example.com', types: null },
  ];
  const set = await rig.call('PUT', path, { mail });
  assert.deepEqual(set.json.result, { mail_enabled: true, mail });
  assert.equal((await rig.call('POST', `${path}/test`)).json.result.told, true);
  assert.deepEqual((await rig.call('GET', path, undefined, B)).json.result, empty);
  const bad: [mail: unknown, field: string][] = [
    [5, 'mail'],
    [[{ address: 'nobody' }], 'mail[0].address'],
    [[{ address: 'a@b.cd' }, { address: 'a@b.cd\r\nBcc: x@y.zz' }], 'mail[1].address'],
    [[{ address: 'a@b.cd' }, { address: 'a@B.CD' }], 'mail[1].address'],
    [[{ address: 'a@b.cd', types: ['worker.down'] }], 'mail[0].types'],
    [[{ address: 'a@b.cd', name: 'Ada' }], 'mail[0]'],
    [Array.from({ length: 11 }, (_, i) => ({ address: `a${i}@b.cd` })), 'mail'],
  ];
  for (const [wrong, field] of bad) {
    const { status, json } = await rig.call('PUT', path, { mail: wrong });
    assert.equal(status, 400, JSON.stringify(wrong));
    assert.ok(json.status.error.includes(field), `${field}: ${json.status.error}`);
  }
  await rig.call('PUT', path, { mail: [] });
  const audited = rig.store.adminAudit.page(0, 100);
  assert.deepEqual(
    audited.map(({ action, after }) => [action, after]),
    [2, 0].map((recipients) => ['recipients.update', { recipients }]),
  );
  const [notice] = rig.store.notices.page(undefined, 1);
  const fates = rig.store.noticeDeliveries.of([notice?.sequence ?? 0]).map(({ state }) => state);
  assert.deepEqual(fates, ['dropped', 'dropped'], 'who is no recipient any more gets nothing');
});
