import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ManualClock } from '../../shared/base/clock.ts';
import type { ClientId, KeyId, WorkerId } from '../../shared/base/ids.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { cleanUp } from '../../test/harness/cleanup.ts';
import { notifyParts } from '../../test/harness/notify-parts.ts';
import { temporaryFolder } from '../../test/harness/temporary-folder.ts';
import { ControlStore } from '../store/control-store.ts';
import { HourlyLook } from './hourly-look.ts';
import { DOWN_AFTER_MS, WorkerWatch } from './worker-watch.ts';

const A = 'cl_aaaaaaaaaaaaaaaa' as ClientId;
const B = 'cl_bbbbbbbbbbbbbbbb' as ClientId;
const WORKER = 'wk_aaaaaaaaaaaaaaaa' as WorkerId;
const ORIGIN = { actor: 'operator', requestId: 'r' };
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

function startRig(t: TestContext) {
  const clock = new ManualClock();
  const store = ControlStore.open(join(temporaryFolder(t), 'control.db'), { clock });
  cleanUp(t, () => store.close());
  for (const clientId of [A, B]) store.clients.create({ clientId, name: clientId });
  const parts = notifyParts({ store, clock });
  const told = () => {
    return parts.notices.list({}).items.map(({ type, key, clientId, deliveries }) => {
      const to = deliveries.map(({ kind, owner }) => `${kind}:${owner || 'operators'}`);
      return { type, key, clientId, to: to.toSorted().join(' ') };
    });
  };
  return { ...parts, clock, told };
}

const paused = (clientId: ClientId, key: string) => {
  const data = { reason: 'budget', scope: 'writes' };
  return { type: 'client.paused', clientId, key, data } as const;
};

test('a notice goes to whom it is for, and to those who want to hear of it', (t) => {
  const rig = startRig(t);
  const { webhooks, notices, notifier } = rig;
  const url = 'https://receiver.example/';
  webhooks.create(ORIGIN, A, { url, types: ['client.paused'] });
  webhooks.create(ORIGIN, A, { url, types: ['key.expiring'] });
  webhooks.create(ORIGIN, B, { url });
  webhooks.create(ORIGIN, null, { url });
  notices.setRecipients(ORIGIN, A, [
    { address: 'a@example.com', types: ['client.paused'] },
    { address: 'b@example.com', types: ['key.expiring'] },
  ]);
  assert.equal(notifier.tell(paused(A, 'k')), true);
  assert.equal(notifier.tell(paused(A, 'k')), false, 'once for its key');
  assert.equal(notifier.tell(paused(B, 'k')), true, 'another client is another event');
  assert.deepEqual(rig.told(), [
    {
      type: 'client.paused',
      key: 'k',
      clientId: B,
      to: `mail:operators webhook:${B} webhook:operators`,
    },
    {
      type: 'client.paused',
      key: 'k',
      clientId: A,
      to: `mail:${A} mail:operators webhook:${A} webhook:operators`,
    },
  ]);
});

test('what is told in a transaction is there with it, or not at all', (t) => {
  const { store, notifier, told } = startRig(t);
  let heard = 0;
  notifier.onTold(() => {
    heard += 1;
  });
  assert.throws(() => {
    store.transaction(() => {
      notifier.tell(paused(A, 'k'));
      throw new Error('undone');
    });
  }, /undone/);
  assert.deepEqual([told(), heard], [[], 0]);
  store.transaction(() => {
    notifier.tell(paused(A, 'k'));
    assert.equal(heard, 0, 'nobody hears of it before it is durable');
  });
  assert.deepEqual([told().length, heard], [1, 1]);
});

test('a notice has exactly its fields, with texts of a bounded length', (t) => {
  const { notifier, notices } = startRig(t);
  const bad = { reason: 'x' } as Record<string, string>;
  const type = 'client.paused';
  assert.throws(() => notifier.tell({ type, clientId: A, key: 'k', data: bad }), /exactly its/);
  const more = { reason: 'x', scope: 'all', payload: 'secret' };
  assert.throws(() => notifier.tell({ type, clientId: A, key: 'k', data: more }), /exactly its/);
  const long = { reason: 'x'.repeat(10_000), scope: 'all' };
  notifier.tell({ type, clientId: A, key: 'k', data: long });
  const [notice] = notices.list({}).items;
  assert.equal(String(notice?.data.reason).length, LIMITS.noticeTextCharsMax);
});

test('with a client goes all that it was told, and a client that is gone is told nothing', (t) => {
  const { store, notifier, notices, webhooks, told } = startRig(t);
  webhooks.create(ORIGIN, A, { url: 'https://receiver.example/' });
  notices.setRecipients(ORIGIN, A, [{ address: 'a@example.com' }]);
  notifier.tell(paused(A, 'k'));
  notifier.tell(paused(B, 'k'));
  store.clients.remove(A);
  assert.deepEqual(
    told().map(({ clientId }) => clientId),
    [B],
  );
  assert.equal(store.webhooks.count(A), 0);
  assert.equal(notifier.tell(paused(A, 'other')), false);
});

test('old notices go when nothing is left to do, what waits ends, pages go on where they ended', (t) => {
  const rig = startRig(t);
  const { clock, notifier, notices, told, store } = rig;
  for (let i = 0; i < 5; i += 1) notifier.tell(paused(A, String(i)));
  const first = notices.list({ limit: 3 });
  const rest = notices.list({ limit: 3, before: first.next ?? 0 });
  assert.deepEqual(
    [first.items, rest.items].flat().map(({ key }) => key),
    ['4', '3', '2', '1', '0'],
  );
  assert.equal(rest.next, null);
  const look = new HourlyLook(rig);
  look.start();
  cleanUp(t, () => look.close());
  clock.advance(3 * DAY_MS);
  assert.equal(store.noticeDeliveries.waiting('mail', 10).length, 1);
  clock.advance(2 * DAY_MS);
  assert.equal(store.noticeDeliveries.waiting('mail', 10).length, 0);
  assert.equal(told().length, 5);
  clock.advance(90 * DAY_MS);
  assert.equal(told().length, 0);
});

test('a client hears of a key a week and a day before its end, once each', (t) => {
  const rig = startRig(t);
  const { clock, store, told } = rig;
  const keyId = 'key_aaaaaaaaaaaaaaaa' as KeyId;
  const terms = { mode: 'live', name: 'main', role: 'admin', namespaces: null } as const;
  const expiresAt = clock.now() + 10 * DAY_MS;
  const secret = { prefix: '12345678', digest: Buffer.alloc(32) };
  store.apiKeys.create({
    keyId,
    clientId: A,
    ...terms,
    requestsPerSecond: null,
    expiresAt,
    secret,
  });
  for (let run = 0; run < 2; run += 1) {
    const look = new HourlyLook(rig);
    look.start();
    cleanUp(t, () => look.close());
  }
  const days: [number, number][] = [];
  for (let hour = 0; hour < 11 * 24; hour += 1) {
    const before = told().length;
    clock.advance(HOUR_MS);
    if (told().length > before) days.push([hour + 1, told().length]);
  }
  assert.deepEqual(days, [
    [3 * 24, 1],
    [9 * 24, 2],
  ]);
});

test('thousands of keys that end together are told in small parts, and hide none of others', (t) => {
  const rig = startRig(t);
  const { clock, store, told } = rig;
  const terms = { mode: 'live', name: 'main', role: 'admin', namespaces: null } as const;
  const create = (clientId: ClientId, n: number) => {
    const id = String(n).padStart(8, '0');
    store.apiKeys.create({
      ...{ keyId: `key_${id}` as KeyId, clientId, ...terms, requestsPerSecond: null },
      expiresAt: clock.now() + HOUR_MS,
      secret: { prefix: id, digest: Buffer.alloc(32) },
    });
  };
  store.transaction(() => {
    for (let n = 0; n < 200; n += 1) create(A, n);
    create(B, 200);
  });
  const look = new HourlyLook(rig);
  look.start();
  cleanUp(t, () => look.close());
  const most = told().length;
  assert.ok(most <= 20, `${most} at once`);
  for (let i = 0; i < 20; i += 1) clock.advance(20);
  assert.equal(told().length, 201);
  assert.equal(told()[0]?.clientId, B);
});

test('operators hear of a worker that is gone for longer than a restart, and of its return', (t) => {
  const rig = startRig(t);
  const { clock, store, told } = rig;
  const fleet = { connected: true, shards: 3 };
  const live = () => [{ workerId: WORKER, ...fleet }];
  const start = () => {
    const watch = new WorkerWatch({ ...rig, live });
    watch.start();
    cleanUp(t, () => watch.close());
    return watch;
  };
  const lookFor = (ms: number) => {
    for (let i = 0; i < ms / 5_000; i += 1) clock.advance(5_000);
  };
  store.workers.seen(WORKER);
  const first = start();
  fleet.connected = false;
  store.workers.seen(WORKER);
  lookFor(DOWN_AFTER_MS / 2);
  fleet.connected = true;
  lookFor(DOWN_AFTER_MS);
  assert.deepEqual(told(), [], 'a restart is nobody’s concern');
  fleet.connected = false;
  store.workers.seen(WORKER);
  lookFor(3 * DOWN_AFTER_MS);
  assert.deepEqual(
    told().map(({ type }) => type),
    ['worker.down'],
  );
  first.close();
  start();
  lookFor(3 * DOWN_AFTER_MS);
  assert.equal(told().length, 1, 'another coordinator does not tell it again');
  fleet.connected = true;
  store.workers.seen(WORKER);
  lookFor(10_000);
  assert.deepEqual(
    told().map(({ type }) => type),
    ['worker.up', 'worker.down'],
  );
  lookFor(3 * DOWN_AFTER_MS);
  fleet.connected = false;
  store.workers.seen(WORKER);
  lookFor(2 * DOWN_AFTER_MS);
  assert.deepEqual(
    told().map(({ type }) => type),
    ['worker.down', 'worker.up', 'worker.down'],
  );
});

test('a worker that was drained and taken away is no surprise', (t) => {
  const rig = startRig(t);
  rig.store.workers.seen(WORKER);
  rig.store.workers.setTerms(WORKER, { zone: null, dedicatedTo: null, draining: true });
  const live = () => [{ workerId: WORKER, connected: false, shards: 0 }];
  const watch = new WorkerWatch({ ...rig, live });
  watch.start();
  cleanUp(t, () => watch.close());
  for (let i = 0; i < 30; i += 1) rig.clock.advance(5_000);
  assert.deepEqual(rig.told(), []);
});
