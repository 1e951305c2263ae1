import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WorkerId } from '../../shared/base/ids.ts';
import type { Request } from '../../shared/protocol/messages.ts';
import type { Handlers } from '../../worker/server/dispatch.ts';
import { EMPTY, newWorkerId, RawWorker, Rig, within } from './link-rig.ts';

const DELETE_ONE: Request<'points-delete'> = { version: 1, points: { kind: 'ids', ids: [1] } };
const WRITTEN = { body: { version: 1, points: 0, bytes: 0, digest: 0 }, vectors: EMPTY };

function askCount(rig: Rig, workerId: WorkerId, ms = 10_000) {
  const route = rig.route(workerId);
  return rig.link.request(route, 'points-count', { exact: true }, undefined, within(ms));
}

function askDelete(rig: Rig, workerId: WorkerId, ms = 10_000) {
  return rig.link.request(rig.route(workerId), 'points-delete', DELETE_ONE, undefined, within(ms));
}

/** Handlers that hold each write until `release` is called. */
function heldWrites() {
  const held: (() => void)[] = [];
  const { promise: asked, resolve: onAsked } = Promise.withResolvers<void>();
  const handlers: Partial<Handlers> = {
    'points-delete': () => {
      onAsked();
      return new Promise((resolve) => held.push(() => resolve(WRITTEN)));
    },
  };
  const release = (): void => {
    for (const answer of held.splice(0)) answer();
  };
  return { handlers, asked, release };
}

test('a worker that stops finishes what it has; the rest waits for its successor', async (t) => {
  const rig = await Rig.start(t);
  const { handlers, asked, release } = heldWrites();
  const { workerId, link } = await rig.connectedWorker(handlers);
  const before = askDelete(rig, workerId);
  await asked;
  const closed = link.close(within(10_000));
  const during = [askDelete(rig, workerId), askCount(rig, workerId)];
  // The worker has not hung up yet, but it says that it stops: nothing is sent to it any more.
  while (rig.link.connected().length > 0) await new Promise(setImmediate);
  during.push(askDelete(rig, workerId));
  release();
  assert.equal((await before).body.version, 1);
  await closed;
  await rig.connectedWorker(
    {
      'points-delete': () => WRITTEN,
      'points-count': () => ({ body: { count: 2 }, vectors: EMPTY }),
    },
    { workerId },
  );
  assert.equal((await Promise.all(during)).length, 3);
});

test('restarts of a worker under load cost its callers time and nothing else', async (t) => {
  const rig = await Rig.start(t);
  const workerId = newWorkerId();
  let applied = 0;
  const handlers: Partial<Handlers> = {
    'points-delete': async () => {
      await new Promise(setImmediate);
      applied += 1;
      return WRITTEN;
    },
  };
  let running = true;
  let acknowledged = 0;
  const clients = Array.from({ length: 16 }, async () => {
    while (running) {
      await askDelete(rig, workerId);
      acknowledged += 1;
    }
  });
  for (let life = 0; life < 8; life += 1) {
    const target = acknowledged + 200;
    const { link } = await rig.connectedWorker(handlers, { workerId });
    while (acknowledged < target) await new Promise(setImmediate);
    await link.close(within(5_000));
  }
  running = false;
  await rig.connectedWorker(handlers, { workerId });
  await Promise.all(clients);
  assert.equal(applied, acknowledged);
});

test('a worker finds a coordinator that went away and came back', async (t) => {
  const first = await Rig.start(t);
  const { workerId, link } = await first.connectedWorker({
    'points-count': () => ({ body: { count: 3 }, vectors: EMPTY }),
  });
  const { port } = first;
  await first.link.close(within(1_000));
  const second = await Rig.start(t, undefined, port);
  assert.equal((await askCount(second, workerId)).body.count, 3);
  assert(link.connected);
  const retries = first.workerLogged.saw('link_retry');
  assert(retries.length >= 1);
  for (const { fields } of retries) assert(Number(fields.delayMs) <= 2_000);
});

test('a coordinator that stops finishes what is sent and refuses what is new', async (t) => {
  const rig = await Rig.start(t);
  const { handlers, asked, release } = heldWrites();
  const { workerId } = await rig.connectedWorker(handlers);
  const sent = askDelete(rig, workerId);
  const waiting = assert.rejects(askCount(rig, newWorkerId()), { code: 'shutting_down' });
  await asked;
  const closed = rig.link.close(within(10_000));
  await waiting;
  await assert.rejects(askCount(rig, workerId), { code: 'shutting_down' });
  release();
  assert.equal((await sent).body.version, 1);
  await closed;
  await closed;
});

test('a coordinator does not wait longer than its deadline', async (t) => {
  const rig = await Rig.start(t);
  const worker = await RawWorker.connect(t, rig.url);
  const write = askDelete(rig, worker.workerId);
  const read = askCount(rig, worker.workerId);
  await worker.nextFrame();
  const failures = Promise.allSettled([write, read]);
  await rig.link.close(within(30));
  const codes = (await failures).map(
    (result) => result.status === 'rejected' && result.reason.code,
  );
  assert.deepEqual(codes, ['write_outcome_unknown', 'shutting_down']);
  await worker.closed;
});

test('a worker does not wait longer than its deadline', async (t) => {
  const rig = await Rig.start(t);
  const { handlers, asked } = heldWrites();
  const { workerId, link } = await rig.connectedWorker(handlers);
  const write = assert.rejects(askDelete(rig, workerId), { code: 'write_outcome_unknown' });
  await asked;
  await link.close(within(30));
  await write;
});

test('a link that never connected closes at once, and dials no more', async (t) => {
  const rig = await Rig.start(t);
  await rig.link.close(within(0));
  const { link } = rig.worker({});
  await link.close(within(5_000));
  assert.equal(link.connected, false);
});

test('an address in use is an error of start', async (t) => {
  const rig = await Rig.start(t);
  await assert.rejects(Rig.start(t, undefined, rig.port), { code: 'EADDRINUSE' });
});
