import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Clock, ManualClock, systemClock } from '../../shared/base/clock.ts';
import { secureRandom } from '../../shared/base/random.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { encodeBody } from '../../shared/protocol/body.ts';
import { decodeFailure } from '../../shared/protocol/failure.ts';
import { decodeFrame } from '../../shared/protocol/frame.ts';
import { CLOSE_CODES, HANDSHAKE_TIMEOUT_MS } from '../../shared/protocol/hello.ts';
import { PING_INTERVAL_MS } from '../../shared/protocol/liveness.ts';
import { MESSAGES } from '../../shared/protocol/messages.ts';
import { CoordinatorLink } from '../../worker/server/link.ts';
import { recordingLog } from '../harness/recording-log.ts';
import {
  closeCode,
  EMPTY,
  frameOf,
  handlersOf,
  newWorkerId,
  nextMessage,
  RawCoordinator,
  RawWorker,
  Rig,
  SECRET,
  within,
} from './link-rig.ts';

const COUNT = { body: { count: 7 }, vectors: EMPTY };

/** Waits a twentieth of what it is told, so that many reconnections take no time. */
const hurriedClock: Clock = {
  ...systemClock,
  after: (delayMs, action) => systemClock.after(delayMs / 20, action),
};

test('a worker without the secret, or of another version, is sent away with the reason', async (t) => {
  const rig = await Rig.start(t);
  const cases = [
    [{ secret: `${SECRET}x` }, CLOSE_CODES.refused],
    [{ protocolVersion: 99 }, CLOSE_CODES.versionMismatch],
    [{ schemaHash: '0'.repeat(64) }, CLOSE_CODES.versionMismatch],
  ] as const;
  for (const [lies, code] of cases) {
    await assert.rejects(RawWorker.connect(t, rig.url, lies), { message: `closed ${code}` });
  }
  assert.equal(rig.logged.saw('link_refused').length, cases.length);
  assert.deepEqual(rig.link.connected(), []);
});

test('what is not a hello is refused', async (t) => {
  const rig = await Rig.start(t);
  const messages = [Buffer.from('binary'), 'text', '{}', frameOf({})];
  for (const message of messages) {
    const worker = new RawWorker(t, rig.url, newWorkerId());
    await worker.next();
    worker.socket.send(message);
    assert.equal(await worker.closed, CLOSE_CODES.protocolError);
  }
});

test('a stranger may not send much, nor take long', async (t) => {
  const clock = new ManualClock();
  const rig = await Rig.start(t, clock);
  const loud = new RawWorker(t, rig.url, newWorkerId());
  await loud.next();
  loud.socket.send('x'.repeat(LIMITS.helloBytesMax * 8));
  assert.equal(await loud.closed, 1006);
  const slow = new RawWorker(t, rig.url, newWorkerId());
  await slow.next();
  clock.advance(HANDSHAKE_TIMEOUT_MS);
  assert.equal(await slow.closed, CLOSE_CODES.handshakeTimeout);
  assert.deepEqual(
    rig.logged.saw('link_refused').map((line) => line.fields.reason),
    ['too many bytes before the hello', 'no hello in time'],
  );
});

test('garbage ends the link it came on and no other', async (t) => {
  const rig = await Rig.start(t);
  const good = await rig.connectedWorker({ 'points-count': () => COUNT });
  const garbage = [
    Buffer.from('not a frame'),
    'text',
    frameOf({ kind: 'request' }),
    Buffer.alloc(LIMITS.frameBytesMax + 1),
  ];
  for (const message of garbage) {
    const bad = await RawWorker.connect(t, rig.url);
    bad.socket.send(message);
    const tooLarge = message.length > LIMITS.frameBytesMax;
    assert.equal(await bad.closed, tooLarge ? 1009 : CLOSE_CODES.protocolError);
    assert.deepEqual(rig.link.connected(), [good.workerId]);
  }
  const route = rig.route(good.workerId);
  const reply = await rig.link.request(
    route,
    'points-count',
    { exact: true },
    undefined,
    within(5_000),
  );
  assert.equal(reply.body.count, 7);
});

test('a worker does not answer a coordinator that lacks the secret', async (t) => {
  const impostor = await RawCoordinator.start(t, { secret: 'guess' });
  const { log, saw } = recordingLog();
  const link = new CoordinatorLink(
    { clock: systemClock, random: secureRandom, log, handlers: handlersOf({}) },
    { coordinatorUrl: impostor.url, workerId: newWorkerId(), secret: SECRET },
  );
  link.start();
  t.after(() => link.close(within(0)));
  assert.equal(await closeCode(await impostor.accept()), CLOSE_CODES.refused);
  assert.equal(link.connected, false);
  assert.equal(await closeCode(await impostor.accept()), CLOSE_CODES.refused);
  assert.match(String(saw('link_retry')[0]?.fields.reason), /does not hold the link secret/);
  assert.deepEqual(saw('link_connected'), []);
});

test('the worker hangs up on bad frames and refuses what comes too late', async (t) => {
  const coordinator = await RawCoordinator.start(t);
  let asked = 0;
  const handlers = handlersOf({
    'points-count': () => {
      asked += 1;
      return COUNT;
    },
  });
  const { log } = recordingLog();
  const link = new CoordinatorLink(
    { clock: hurriedClock, random: secureRandom, log, handlers },
    { coordinatorUrl: coordinator.url, workerId: newWorkerId(), secret: SECRET },
  );
  link.start();
  t.after(() => link.close(within(0)));
  let socket = await coordinator.accept();
  socket.send(frameOf({ deadlineMs: 0 }));
  const late = decodeFrame(await nextMessage(socket));
  assert.equal(decodeFailure(late.structure).code, 'deadline_exceeded');
  assert.deepEqual([late.kind, late.epoch, late.requestId, asked], ['error', 7, 1, 0]);
  socket.send(frameOf({ structure: encodeBody({ exact: 1 }) }));
  const bad = decodeFrame(await nextMessage(socket));
  assert.deepEqual([decodeFailure(bad.structure).code, asked], ['internal', 0]);
  for (const message of [
    frameOf({ kind: 'reply' }),
    frameOf({ message: 99 }),
    frameOf({ shardId: undefined }),
    frameOf({ message: MESSAGES['worker-status'].number }),
    frameOf({ epoch: 8 }),
    Buffer.from('x'),
    'text',
  ]) {
    socket.send(message);
    assert.equal(await closeCode(socket), CLOSE_CODES.protocolError);
    socket = await coordinator.accept();
  }
  assert.equal(asked, 0);
  socket.send(frameOf({}));
  assert.equal(decodeFrame(await nextMessage(socket)).kind, 'reply');
});

test('a half-open line is noticed by the coordinator', async (t) => {
  const clock = new ManualClock();
  const rig = await Rig.start(t, clock);
  const worker = await RawWorker.connect(t, rig.url, { autoPong: false });
  const write = rig.link.request(
    rig.route(worker.workerId),
    'points-delete',
    { version: 1, points: { kind: 'ids', ids: [1] } },
    undefined,
    within(60_000, clock),
  );
  await worker.nextFrame();
  for (let ms = 0; ms < 10_000; ms += PING_INTERVAL_MS) clock.advance(PING_INTERVAL_MS);
  await assert.rejects(write, { code: 'write_outcome_unknown' });
  const [lost] = rig.logged.saw('link_lost');
  assert.equal(lost?.fields.workerId, worker.workerId);
  assert.equal(lost?.fields.reason, 'no sign of life');
});

test('a half-open line is noticed by the worker, which dials again', async (t) => {
  const clock = new ManualClock();
  const coordinator = await RawCoordinator.start(t, { autoPong: false });
  const { log, saw } = recordingLog();
  const link = new CoordinatorLink(
    { clock, random: secureRandom, log, handlers: handlersOf({}) },
    { coordinatorUrl: coordinator.url, workerId: newWorkerId(), secret: SECRET },
  );
  t.after(() => link.close(within(0, clock)));
  const connected = new Promise<void>((resolve) => link.onConnect(resolve));
  link.start();
  await coordinator.accept();
  await connected;
  for (let ms = 0; ms < 10_000; ms += PING_INTERVAL_MS) clock.advance(PING_INTERVAL_MS);
  assert.equal(link.connected, false);
  assert.equal(saw('link_lost')[0]?.fields.reason, 'no sign of life');
  clock.advance(2_000);
  await coordinator.accept();
});

test('a worker that comes twice with only a write under way is still there', async (t) => {
  const rig = await Rig.start(t);
  const workerId = newWorkerId();
  const first = new RawWorker(t, rig.url, workerId, false);
  await first.greet();
  await first.next();
  const one = { version: 1, points: { kind: 'ids' as const, ids: [1] } };
  const route = rig.route(workerId);
  const write = rig.link.request(route, 'points-delete', one, undefined, within(5_000));
  const unknown = assert.rejects(write, { code: 'write_outcome_unknown' });
  await first.nextFrame();
  const connected = rig.nextConnect();
  const second = new RawWorker(t, rig.url, workerId);
  await second.greet();
  await connected;
  await unknown;
  assert.deepEqual(rig.link.connected(), [workerId]);
  await first.closed;
  assert.deepEqual(rig.link.connected(), [workerId]);
});

test('a new connection of a worker takes over from one that does not answer', async (t) => {
  const rig = await Rig.start(t);
  const workerId = newWorkerId();
  const first = new RawWorker(t, rig.url, workerId, false);
  await first.greet();
  await first.next();
  const route = rig.route(workerId);
  const read = rig.link.request(route, 'points-count', { exact: true }, undefined, within(5_000));
  const one = { version: 1, points: { kind: 'ids' as const, ids: [1] } };
  const write = rig.link.request(route, 'points-delete', one, undefined, within(5_000));
  const unknown = assert.rejects(write, { code: 'write_outcome_unknown' });
  await first.nextFrame();
  const second = new RawWorker(t, rig.url, workerId);
  await second.greet();
  await second.next();
  assert.equal(await first.closed, CLOSE_CODES.replaced);
  await unknown;
  const { requestId, epoch, message } = await second.nextFrame();
  assert.equal(message, 23);
  const structure = encodeBody({ count: 3 });
  second.socket.send(frameOf({ kind: 'reply', requestId, epoch, structure, shardId: undefined }));
  assert.equal((await read).body.count, 3);
});

test('while a worker answers, another process with its id is refused, and both ends say so', async (t) => {
  const rig = await Rig.start(t);
  const { workerId, link } = await rig.connectedWorker({
    'points-count': () => ({ body: { count: 3 }, vectors: EMPTY }),
  });
  const copy = rig.worker({}, { workerId });
  while (rig.workerLogged.saw('worker_id_taken').length < 2) await new Promise(setImmediate);
  assert.deepEqual([link.connected, copy.link.connected], [true, false]);
  const [told] = rig.logged.saw('worker_id_taken');
  assert.deepEqual(Object.keys(told?.fields ?? {}), ['workerId', 'address', 'holder']);
  const route = rig.route(workerId);
  const read = rig.link.request(route, 'points-count', { exact: true }, undefined, within(5_000));
  assert.equal((await read).body.count, 3);
  const connected = rig.nextConnect();
  await link.close(within(1_000));
  assert.equal(await connected, workerId, 'it may come when the other one has ended');
});
