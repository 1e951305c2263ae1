/** Censuses over the admin API. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import type { ClientId } from '../../shared/base/ids.ts';
import { SEAL_BYTES, sealProblem } from '../../shared/crypto/census-seal.ts';
import { AdminRig, type Reply } from './admin-rig.ts';

const DAY = '2023-11-14';

async function until(rig: AdminRig, census: string): Promise<Reply> {
  for (;;) {
    const { status, reply } = await rig.send('GET', `/censuses/${census}`);
    if (status === 200 && reply.state !== 'under_way') return reply;
    rig.clock.advance(1_000);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

function archiveOf(rig: AdminRig, census: string): Promise<Response> {
  const headers = { authorization: `Bearer ${rig.token}` };
  return fetch(`${rig.url}/admin/v1/censuses/${census}/archive`, { headers });
}

test('a census of the day, one on demand, their archives, and what is a client its own', async (t) => {
  const rig = await AdminRig.start(t);
  const client = await rig.client();
  const other = await rig.client();
  const idOf = (path: string) => path.split('/').at(-1) as ClientId;
  const { shards, census } = rig.census;
  shards.add(idOf(client), 'x', 10);
  shards.add(idOf(client), 'y', 5, { mode: 'test' });
  shards.add(idOf(other), 'x', 7);
  const none = await rig.send('GET', `${client}/census`);
  assert.deepEqual([none.status, none.reply.detail], [404, 'there is no census yet']);
  census.start();
  const day = await until(rig, DAY);
  assert.deepEqual(
    [day.state, day.kind, day.points, day.unknown_shards],
    ['complete', 'scheduled', 22, 0],
  );

  const key = { 'idempotency-key': 'once' };
  const taken = await rig.send('POST', '/censuses', undefined, key);
  assert.deepEqual([taken.status, taken.reply.state], [201, 'under_way']);
  assert.equal((await rig.send('POST', '/censuses', undefined, key)).reply.census, `${DAY}.01`);
  assert.equal((await rig.send('POST', '/censuses')).status, 409, 'one at a time');
  const demanded = await until(rig, `${DAY}.01`);
  assert.equal(demanded.kind, 'on_demand');
  const audit = (await rig.audit()).at(-1);
  assert.deepEqual([audit?.action, audit?.target], ['census.take', `${DAY}.01`]);

  const listed = await rig.send('GET', '/censuses?limit=1');
  assert.deepEqual(listed.reply, { censuses: [demanded], next: `${DAY}.01` });
  const rest = await rig.send('GET', `/censuses?after=${DAY}.01`);
  assert.deepEqual(rest.reply, { censuses: [day], next: null });

  const archive = await archiveOf(rig, DAY);
  const bytes = Buffer.from(await archive.arrayBuffer());
  assert.equal(archive.headers.get('content-type'), 'application/zstd');
  assert.equal(createHash('sha256').update(bytes).digest('hex'), day.sha256);
  const { public_key } = (await rig.send('GET', '/censuses/key')).reply;
  const sha256 = createHash('sha256').update(bytes.subarray(0, -SEAL_BYTES)).digest('hex');
  const sealed = { frame: bytes.subarray(-SEAL_BYTES), sha256, file: String(day.file) };
  assert.equal(sealProblem(sealed, rig.census.publicKey), undefined);
  assert.equal(rig.census.publicKey.export({ format: 'pem', type: 'spki' }), public_key);

  const own = (await rig.send('GET', `${client}/census?limit=1`)).reply;
  const collections = own.collections as Reply[];
  assert.deepEqual([collections.length, own.next, (own.live as Reply).points], [1, 1, 10]);
  assert.equal(collections[0]?.client_id, idOf(client));
  const second = (await rig.send('GET', `${client}/census?after=1&day=${DAY}.01`)).reply;
  assert.deepEqual([(second.collections as Reply[])[0]?.collection, second.next], ['y', null]);
});

test('what is not there or can not be asked for is said', async (t) => {
  const rig = await AdminRig.start(t);
  const client = await rig.client();
  assert.equal((await rig.send('GET', `/censuses/${DAY}`)).status, 404);
  assert.equal((await rig.send('GET', '/censuses/..%2F..%2Fcontrol.db')).status, 404);
  assert.equal((await archiveOf(rig, DAY)).status, 404);
  for (const [path, field] of [
    ['/censuses?after=x', 'after'],
    ['/censuses?limit=0', 'limit'],
    [`${client}/census?day=yesterday`, 'day'],
    [`${client}/census?after=-1`, 'after'],
  ] as const) {
    const { status, reply } = await rig.send('GET', path);
    assert.deepEqual([status, reply.field], [400, field], path);
  }
  assert.equal((await rig.send('GET', '/clients/cl_aaaaaaaaaaaaaaaa/census')).status, 404);
  for (let number = 0; number < 24; number += 1) {
    rig.store.censusRequests.done(rig.store.censusRequests.add(DAY, 0));
  }
  const { status, reply } = await rig.send('POST', '/censuses');
  assert.deepEqual([status, reply.detail], [409, 'a day has 24 censuses on demand at most']);
});
