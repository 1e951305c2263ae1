/** The terms of workers over the admin API, and who hears of a change. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WorkerId } from '../../shared/base/ids.ts';
import { AdminRig, type Reply } from './admin-rig.ts';

const W1 = 'wk_aaaaaaaaaaaaaaaa' as WorkerId;
const W2 = 'wk_bbbbbbbbbbbbbbbb' as WorkerId;
const PATH = `/workers/${W1}`;

/** Two workers that have been seen, the first of them connected. */
async function rigWithWorkers(t: Parameters<typeof AdminRig.start>[0]): Promise<AdminRig> {
  const rig = await AdminRig.start(t);
  for (const workerId of [W1, W2]) rig.store.workers.seen(workerId);
  rig.fleet.health.connected(W1);
  return rig;
}

async function clientIdIn(rig: AdminRig): Promise<string> {
  return (await rig.client()).split('/').at(-1) ?? '';
}

test('a worker gets a zone and a client of its own, and loses both again', async (t) => {
  const rig = await rigWithWorkers(t);
  const client = await clientIdIn(rig);
  const set = await rig.send('PATCH', PATH, { zone: 'rack-7', dedicated_to: client });
  assert.equal(set.status, 200);
  assert.equal(set.headers.get('etag'), '"2"');
  const { zone, dedicated_to, draining, version } = set.reply;
  assert.deepEqual([zone, dedicated_to, draining, version], ['rack-7', client, false, 2]);
  assert.deepEqual((await rig.send('GET', PATH)).reply, set.reply);
  assert.equal(rig.fleet.moves.asked, 1);

  const freed = await rig.send('PATCH', PATH, { dedicated_to: null });
  assert.deepEqual([freed.reply.zone, freed.reply.dedicated_to], ['rack-7', null]);
  const cleared = await rig.send('PATCH', PATH, { zone: null });
  assert.deepEqual([cleared.reply.zone, cleared.reply.version], [null, 4]);
  const other = (await rig.send('GET', `/workers/${W2}`)).reply;
  assert.deepEqual([other.zone, other.version], [null, 1]);
});

test('of two operators who change one worker, the second hears of the first', async (t) => {
  const rig = await rigWithWorkers(t);
  const etag = (await rig.send('GET', PATH)).headers.get('etag') ?? '';
  const first = await rig.send('PATCH', PATH, { zone: 'a' }, { 'if-match': etag });
  assert.equal(first.status, 200);
  for (const [method, path, body] of [
    ['PATCH', PATH, { zone: 'b' }],
    ['POST', `${PATH}/drain`, undefined],
    ['POST', `${PATH}/resume`, undefined],
  ] as const) {
    const late = await rig.send(method, path, body, { 'if-match': etag });
    assert.deepEqual([late.status, late.reply.code], [412, 'precondition_failed'], path);
  }
  assert.deepEqual((await rig.send('GET', PATH)).reply, first.reply);
});

test('a drain is told to routing and to moves; repeating it changes nothing', async (t) => {
  const rig = await rigWithWorkers(t);
  const { health, moves } = rig.fleet;
  const drained = await rig.send('POST', `${PATH}/drain`);
  assert.deepEqual([drained.status, drained.reply.draining, drained.reply.version], [200, true, 2]);
  assert.deepEqual([health.stateOf(W1), moves.asked], ['draining', 1]);
  const again = await rig.send('POST', `${PATH}/drain`);
  assert.deepEqual(again.reply, drained.reply);
  const resumed = await rig.send('POST', `${PATH}/resume`);
  assert.deepEqual([resumed.reply.draining, resumed.reply.version], [false, 3]);
  assert.deepEqual([health.stateOf(W1), moves.asked], ['healthy', 2]);
  assert.deepEqual((await rig.send('POST', `${PATH}/resume`)).reply, resumed.reply);

  const away = await rig.send('POST', `/workers/${W2}/drain`);
  assert.deepEqual([away.reply.draining, away.reply.state], [true, 'down']);
  health.connected(W2);
  assert.equal(health.stateOf(W2), 'draining', 'it is drained when it comes');
});

test('each change of a worker has its row in the audit log, what changes nothing has none', async (t) => {
  const rig = await rigWithWorkers(t);
  await rig.send('PATCH', PATH, { zone: 'a' });
  await rig.send('PATCH', PATH, { zone: 'a' });
  await rig.send('POST', `${PATH}/drain`);
  const { headers } = await rig.send('POST', `${PATH}/drain`);
  await rig.send('POST', `${PATH}/resume`);
  assert.ok(headers.get('x-request-id'));
  const entries = (await rig.send('GET', `/audit?target=${W1}`)).reply.entries as Reply[];
  const free = { zone: null, dedicated_to: null, draining: false };
  assert.deepEqual(
    entries.map(({ action, before, after }) => ({ action, before, after })),
    [
      { action: 'worker.update', before: free, after: { ...free, zone: 'a' } },
      {
        action: 'worker.drain',
        before: { ...free, zone: 'a' },
        after: { ...free, zone: 'a', draining: true },
      },
      {
        action: 'worker.resume',
        before: { ...free, zone: 'a', draining: true },
        after: { ...free, zone: 'a' },
      },
    ],
  );
});

test('terms that can not be are refused with the field named, and change nothing', async (t) => {
  const rig = await rigWithWorkers(t);
  const before = (await rig.send('GET', PATH)).reply;
  const bad: [body: object, field: string | undefined][] = [
    [{}, ''],
    [{ zone: '' }, 'zone'],
    [{ zone: ' a' }, 'zone'],
    [{ zone: '-a' }, 'zone'],
    [{ zone: 'a/b' }, 'zone'],
    [{ zone: 'a\u202eb' }, 'zone'],
    [{ zone: 'x'.repeat(65) }, 'zone'],
    [{ zone: 7 }, 'zone'],
    [{ zone: 'a', dedicated_to: 'cl_aaaaaaaaaaaaaaaa' }, 'dedicated_to'],
    [{ dedicated_to: 'acme' }, 'dedicated_to'],
    [{ draining: true }, 'draining'],
  ];
  for (const [body, field] of bad) {
    const { status, reply } = await rig.send('PATCH', PATH, body);
    assert.deepEqual([status, reply.field ?? ''], [400, field], JSON.stringify(body));
  }
  const leaving = await clientIdIn(rig);
  await rig.send('DELETE', `/clients/${leaving}`);
  const late = await rig.send('PATCH', PATH, { dedicated_to: leaving });
  assert.deepEqual([late.status, late.reply.code], [409, 'conflict']);
  for (const [method, path, body] of [
    ['PATCH', '/workers/wk_cccccccccccccccc', { zone: 'a' }],
    ['POST', '/workers/wk_cccccccccccccccc/drain', undefined],
    ['POST', '/workers/wk_cccccccccccccccc/resume', undefined],
    ['GET', '/workers/..%2f', undefined],
  ] as const) {
    assert.equal((await rig.send(method, path, body)).status, 404, path);
  }
  assert.deepEqual((await rig.send('GET', PATH)).reply, before);
  assert.equal(rig.fleet.moves.asked, 0);
  assert.ok((await rig.audit()).every(({ action }) => !String(action).startsWith('worker.')));
});

test('the workers of a client that is erased are free for all', async (t) => {
  const rig = await rigWithWorkers(t);
  const client = await clientIdIn(rig);
  await rig.send('PATCH', PATH, { zone: 'a', dedicated_to: client });
  await rig.send('DELETE', `/clients/${client}?grace_seconds=0`);
  await new Promise(setImmediate);
  assert.equal((await rig.send('GET', `/clients/${client}`)).status, 404);
  const { reply } = await rig.send('GET', PATH);
  assert.deepEqual([reply.zone, reply.dedicated_to, reply.version], ['a', null, 3]);
  const last = (await rig.audit()).slice(-2);
  assert.deepEqual(
    last.map(({ actor, action }) => [actor, action]),
    [
      ['system', 'worker.update'],
      ['system', 'client.erase'],
    ],
  );
});

test('a worker shows what can not move away from it', async (t) => {
  const rig = await rigWithWorkers(t);
  rig.fleet.moves.strandedNow.set(W1, 2);
  const counts = { shards: 5, behind: 1, erasing: 3, inFlight: 0, machine: null };
  rig.fleet.live = [{ workerId: W1, connected: true, state: 'draining', ...counts }];
  const { reply } = await rig.send('GET', PATH);
  assert.deepEqual([reply.shards, reply.behind, reply.stranded, reply.erasing], [5, 1, 2, 3]);
});
