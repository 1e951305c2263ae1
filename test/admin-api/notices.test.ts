/** Notices, webhooks and recipients as operators see them; every answer is held against the OpenAPI document. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AdminRig, type Reply } from './admin-rig.ts';

test('operators make a webhook, see what it is to get, and remove it', async (t) => {
  const rig = await AdminRig.start(t);
  const key = { 'idempotency-key': 'once' };
  const body = { url: 'https://receiver.example/', types: ['worker.down', 'notify.test'] };
  assert.equal((await rig.send('POST', '/webhooks', body)).reply.field, 'types');
  const wanted = { ...body, types: ['worker.down'] };
  const { status, reply, headers } = await rig.send('POST', '/webhooks', wanted, key);
  assert.equal(status, 201);
  assert.equal(headers.get('etag'), '"1"');
  assert.deepEqual((await rig.send('POST', '/webhooks', wanted, key)).reply, reply);
  const path = `/webhooks/${reply.webhook_id}`;
  assert.equal((await rig.send('POST', '/webhooks', { url: 'https://10.0.0.1/' })).status, 400);
  const stale = await rig.send('PATCH', path, { enabled: false }, { 'if-match': '"7"' });
  assert.equal(stale.status, 412);
  await rig.send('PATCH', path, { url: 'https://other.example/' });
  await rig.send('POST', `${path}/rotate`);
  assert.equal((await rig.send('POST', `${path}/test`)).reply.told, true);
  assert.equal((await rig.send('POST', `${path}/test`)).reply.told, false);
  const shown = (await rig.send('GET', path)).reply;
  assert.deepEqual([shown.url, shown.version], ['https://other.example/', 3]);
  const { deliveries } = (await rig.send('GET', `${path}/deliveries`)).reply;
  assert.equal((deliveries as Reply[]).length, 1);
  assert.equal((await rig.send('POST', `${path}/replay`, {})).reply.replayed, 0);
  assert.equal(((await rig.send('GET', '/webhooks')).reply.webhooks as Reply[]).length, 1);
  const client = await rig.client();
  assert.deepEqual((await rig.send('GET', `${client}/webhooks`)).reply.webhooks, []);
  assert.equal((await rig.send('DELETE', path)).status, 200);
  assert.equal((await rig.send('GET', path)).status, 404);
});

test('notices are listed with what became of them, and no address is whole', async (t) => {
  const rig = await AdminRig.start(t);
  const client = await rig.client();
  const mail = [{ address: 'ada@example.com', types: null }];
  const set = await rig.send('PUT', `${client}/notifications`, { mail });
  assert.deepEqual(set.reply, { mail_enabled: true, mail });
  assert.deepEqual((await rig.send('GET', `${client}/notifications`)).reply, set.reply);
  assert.equal((await rig.send('POST', '/notices/test')).reply.told, true);
  assert.equal((await rig.send('POST', '/notices/test')).reply.told, false);
  rig.clock.advance(60_000);
  assert.equal((await rig.send('POST', '/notices/test')).reply.told, true);
  const all = (await rig.send('GET', '/notices')).reply;
  const [last, first] = all.notices as Reply[];
  assert.deepEqual([first?.type, last?.type, all.next], ['notify.test', 'notify.test', null]);
  const [delivery] = (last?.deliveries ?? []) as Reply[];
  assert.deepEqual(
    [delivery?.to, delivery?.target, delivery?.state],
    ['operators', 'o***@example.com', 'waiting'],
  );
  const page = (await rig.send('GET', '/notices?limit=1')).reply;
  const rest = (await rig.send('GET', `/notices?limit=1&before=${page.next}`)).reply;
  assert.deepEqual((rest.notices as Reply[])[0], first);
  const other = (await rig.send('GET', `/notices?client=${client.split('/').at(-1)}`)).reply;
  assert.deepEqual(other.notices, []);
  assert.equal((await rig.send('GET', '/notices?type=nothing')).reply.field, 'type');
  assert.doesNotMatch(JSON.stringify(await rig.audit()), /ada@/);
});
