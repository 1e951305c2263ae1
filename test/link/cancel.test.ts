/** Requests that nobody waits for any more, at both ends of a link. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { WebSocket } from 'ws';
import { systemClock } from '../../shared/base/clock.ts';
import type { WorkerId } from '../../shared/base/ids.ts';
import { secureRandom } from '../../shared/base/random.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { encodeBody } from '../../shared/protocol/body.ts';
import { decodeFailure } from '../../shared/protocol/failure.ts';
import { decodeFrame, encodeFrame } from '../../shared/protocol/frame.ts';
import type { MessageName } from '../../shared/protocol/messages.ts';
import type { Handlers } from '../../worker/server/dispatch.ts';
import { CoordinatorLink } from '../../worker/server/link.ts';
import { recordingLog } from '../harness/recording-log.ts';
import {
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

const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

/** A worker that counts, on a line that is driven by hand. */
async function startWorker(t: TestContext, handlers: Partial<Handlers>) {
  const coordinator = await RawCoordinator.start(t);
  const recorded = recordingLog();
  const link = new CoordinatorLink(
    { clock: systemClock, random: secureRandom, log: recorded.log, handlers: handlersOf(handlers) },
    { coordinatorUrl: coordinator.url, workerId: newWorkerId(), secret: SECRET },
  );
  link.start();
  t.after(() => link.close(within(0)));
  return { link, coordinator, recorded, socket: await coordinator.accept() };
}

function cancelOf(requestId: number): Buffer {
  const none = { shardId: undefined, deadlineMs: 0, structure: new Uint8Array(0) };
  return frameOf({ requestId: requestId, kind: 'cancel', ...none });
}

/** All of them leave in one write. */
function sendTogether(socket: WebSocket, frames: Buffer[]): void {
  const { _socket: stream } = socket as unknown as { _socket: { cork(): void; uncork(): void } };
  stream.cork();
  for (const frame of frames) socket.send(frame);
  stream.uncork();
}

/** Ids of the requests that are answered until `last` is. */
async function answersUntil(socket: WebSocket, last: number): Promise<number[]> {
  const answered: number[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const listener = (data: Buffer) => {
    answered.push(decodeFrame(data).requestId);
    if (answered.at(-1) === last) resolve();
  };
  socket.on('message', listener);
  await promise;
  socket.off('message', listener);
  return answered;
}

const count = (value: number) => ({ body: { count: value }, vectors: EMPTY });

function busy(ms: number): void {
  const endMs = systemClock.monotonicMs() + ms;
  while (systemClock.monotonicMs() < endMs);
}

test('a request that is cancelled before it is begun with is dropped without an answer', async (t) => {
  let handled = 0;
  const { link, socket } = await startWorker(t, {
    'points-count': () => {
      handled += 1;
      return count(handled);
    },
  });
  const answers = answersUntil(socket, 4);
  // A cancel of what was cancelled or never came means nothing.
  const cancels = [2, 2, 99].map(cancelOf);
  sendTogether(socket, [
    frameOf({ requestId: 1 }),
    frameOf({ requestId: 2 }),
    frameOf({ requestId: 3 }),
    ...cancels,
    frameOf({ requestId: 4 }),
  ]);
  assert.deepEqual(await answers, [1, 3, 4]);
  const again = answersUntil(socket, 2);
  socket.send(cancelOf(1));
  socket.send(frameOf({ requestId: 2 }));
  await again;
  assert.deepEqual([handled, link.inFlight], [4, 0]);
});

test('what arrives while others are handled is read in between', async (t) => {
  const handled: number[] = [];
  const { link, socket } = await startWorker(t, {
    'points-count': (_shardId, _body, [id = 0]) => {
      busy(1);
      handled.push(id);
      return count(id);
    },
  });
  const ids = Array.from({ length: 60 }, (_, i) => i + 1);
  const last = answersUntil(socket, 60);
  socket.once('message', () => sendTogether(socket, [40, 50].map(cancelOf)));
  sendTogether(
    socket,
    ids.map((id) => frameOf({ requestId: id, vectors: Float32Array.of(id) })),
  );
  const answered = await last;
  const expected = ids.filter((id) => id !== 40 && id !== 50);
  assert.deepEqual([handled, answered], [expected, expected], 'in order, but for two');
  assert.equal(link.inFlight, 0);
});

test('a deadline counts from the arrival', async (t) => {
  let handled = 0;
  const { socket } = await startWorker(t, {
    'points-count': () => {
      handled += 1;
      busy(30);
      return count(1);
    },
  });
  const answers = answersUntil(socket, 1);
  sendTogether(socket, [frameOf({ requestId: 1 }), frameOf({ requestId: 2, deadlineMs: 10 })]);
  await answers;
  const late = decodeFrame(await nextMessage(socket));
  assert.deepEqual([late.requestId, decodeFailure(late.structure).code], [2, 'deadline_exceeded']);
  assert.equal(handled, 1);
});

test('what waits when its line ends is never begun with', async (t) => {
  let handled = 0;
  const { link, socket, coordinator } = await startWorker(t, {
    'points-count': () => {
      handled += 1;
      return count(1);
    },
  });
  sendTogether(socket, [
    frameOf({ requestId: 1 }),
    frameOf({ requestId: 2 }),
    Buffer.from('no frame'),
  ]);
  const next = await coordinator.accept();
  assert.deepEqual([handled, link.inFlight], [0, 0]);
  const answers = answersUntil(next, 1);
  next.send(frameOf({ requestId: 1 }));
  await answers;
  assert.equal(handled, 1);
});

test('what waits is bounded by number', async (t) => {
  const { link, socket } = await startWorker(t, { 'points-count': () => count(1) });
  const last = LIMITS.workerInFlightMax + 5;
  const codes: string[] = [];
  const done = Promise.withResolvers<void>();
  let answered = 0;
  socket.on('message', (data: Buffer) => {
    const frame = decodeFrame(data);
    if (frame.kind === 'error') codes.push(decodeFailure(frame.structure).code);
    answered += 1;
    if (answered === last) done.resolve();
  });
  sendTogether(
    socket,
    Array.from({ length: last }, (_, i) => frameOf({ requestId: i + 1 })),
  );
  await done.promise;
  assert.ok(codes.length <= 5 && codes.every((code) => code === 'overloaded'), codes.join());
  assert.equal(link.inFlight, 0);
});

test('a defect while a request is handled ends its line and not the worker', async (t) => {
  const { link, socket, coordinator, recorded } = await startWorker(t, {
    'points-count': () => {
      throw new Error('a defect');
    },
  });
  const event = recorded.log.event.bind(recorded.log);
  t.mock.method(recorded.log, 'event', (...args: Parameters<typeof event>) => {
    if (args[0] === 'request_failed') throw new Error('the disk of the log is full');
    event(...args);
  });
  sendTogether(socket, [frameOf({ requestId: 1 }), frameOf({ requestId: 2 })]);
  await coordinator.accept();
  assert.equal(link.inFlight, 0);
  assert.equal(recorded.saw('unexpected_error').length, 1);
});

// --- the coordinator's end

function begin(rig: Rig, workerId: WorkerId, name: MessageName = 'points-count') {
  const route = rig.route(workerId);
  if (name === 'points-count') {
    return rig.link.begin(route, name, { exact: true }, undefined, within(5_000));
  }
  const one = { version: 1, points: { kind: 'ids' as const, ids: [1] } };
  return rig.link.begin(route, 'points-delete', one, undefined, within(5_000));
}

test('a call that is cancelled is forgotten, and its worker hears of it once', async (t) => {
  const rig = await Rig.start(t);
  const worker = await RawWorker.connect(t, rig.url);
  const { workerId } = worker;
  const settled: string[] = [];
  const asked = (['points-count', 'points-delete', 'points-count'] as const).map((name) => {
    const call = begin(rig, workerId, name);
    call.answer.then(
      () => settled.push(name),
      () => settled.push(`${name} failed`),
    );
    return call;
  });
  const frames = [];
  for (let i = 0; i < 3; i += 1) frames.push(await worker.nextFrame());
  asked[0]?.cancel();
  asked[0]?.cancel();
  asked[1]?.cancel();
  assert.equal(rig.link.inFlight(workerId), 1);
  for (const i of [0, 1]) {
    const { kind, requestId, message, shardId, epoch } = await worker.nextFrame();
    assert.deepEqual([kind, requestId], ['cancel', frames[i]?.requestId]);
    assert.deepEqual([message, shardId, epoch], [frames[i]?.message, undefined, worker.epoch]);
  }
  const structure = encodeBody({ count: 3 });
  for (const frame of frames) {
    worker.socket.send(
      encodeFrame({ ...frame, kind: 'reply', shardId: undefined, structure, vectors: EMPTY }),
    );
  }
  const answer = await asked[2]?.answer;
  assert.deepEqual(answer?.body, { count: 3 });
  asked[2]?.cancel();
  await nextTurn();
  assert.deepEqual([settled, rig.link.inFlight(workerId)], [['points-count'], 0]);
});

test('a call that waits for its worker and is cancelled is never sent', async (t) => {
  const rig = await Rig.start(t);
  const workerId = newWorkerId();
  const calls = [begin(rig, workerId), begin(rig, workerId)];
  calls[0]?.cancel();
  assert.equal(rig.link.inFlight(workerId), 1);
  let handled = 0;
  await rig.connectedWorker(
    {
      'points-count': () => {
        handled += 1;
        return count(8);
      },
    },
    { workerId },
  );
  assert.equal(handled, 0);
  assert.equal((await calls[1]?.answer)?.body && handled, 1);
});

test('a call that can not be taken fails, and cancelling it does nothing', async (t) => {
  const rig = await Rig.start(t);
  const workerId = newWorkerId();
  const late = rig.link.begin(
    rig.route(workerId),
    'points-count',
    { exact: true },
    EMPTY,
    within(0),
  );
  late.cancel();
  await assert.rejects(late.answer, { code: 'deadline_exceeded' });
});

test('a worker that stops is hung up on when its last call was cancelled', async (t) => {
  const rig = await Rig.start(t);
  const never = () => new Promise<never>(() => undefined);
  const { workerId, link } = await rig.connectedWorker({ 'points-count': never });
  const call = begin(rig, workerId);
  while (link.inFlight === 0) await nextTurn();
  const startMs = systemClock.monotonicMs();
  const closed = link.close(within(300));
  while (rig.link.connected().length > 0) await nextTurn();
  call.cancel();
  await closed;
  assert.ok(systemClock.monotonicMs() - startMs < 1_000, 'without waiting for a timeout');
  const [lost] = rig.logged.saw('link_lost');
  assert.equal(lost?.fields.reason, 'the worker stops');
});
