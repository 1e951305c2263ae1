import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Deadline } from '../../shared/base/deadline.ts';
import type { WorkerId } from '../../shared/base/ids.ts';
import { InvalidInput } from '../../shared/base/invalid.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import { encodeBody } from '../../shared/protocol/body.ts';
import { encodeFrame, type Frame } from '../../shared/protocol/frame.ts';
import type { Reply, Request, WithVectors } from '../../shared/protocol/messages.ts';
import { EMPTY, newWorkerId, RawWorker, Rig, within } from './link-rig.ts';

const QUERY: Request<'points-query'> = {
  searches: [
    {
      target: { kind: 'vector' },
      limit: 10,
      offset: 0,
      exact: false,
      payload: { kind: 'all' },
      withVector: false,
    },
  ],
};
const DELETE_ONE: Request<'points-delete'> = { version: 1, points: { kind: 'ids', ids: [1] } };

function count(value: number): WithVectors<Reply<'points-count'>> {
  return { body: { count: value }, vectors: EMPTY };
}

function never<T>(): Promise<T> {
  return new Promise<T>(() => undefined);
}

function askCount(rig: Rig, workerId: WorkerId, deadline: Deadline = within(5_000)) {
  return rig.link.request(
    rig.route(workerId),
    'points-count',
    { exact: true },
    undefined,
    deadline,
  );
}

function askDelete(rig: Rig, workerId: WorkerId, deadline: Deadline = within(5_000)) {
  return rig.link.request(rig.route(workerId), 'points-delete', DELETE_ONE, undefined, deadline);
}

/** The reply of a hand-driven worker to a count. */
function countReply(request: Frame, value: number, over: Partial<Frame> = {}): Buffer {
  const structure = encodeBody({ count: value });
  const shardId = undefined;
  return encodeFrame({ ...request, kind: 'reply', shardId, structure, vectors: EMPTY, ...over });
}

test('body, vectors, shard and deadline arrive, and so does the answer', async (t) => {
  const rig = await Rig.start(t);
  const seen: unknown[] = [];
  const { workerId } = await rig.connectedWorker({
    'points-query': (shardId, body, vectors, deadline) => {
      seen.push(shardId, body, vectors.slice(), deadline.remainingMs() > 4_000);
      const records = { ids: [1, 2n ** 63n], versions: [5, 6], vectors: true };
      const result = { scores: [0.5, 0.25], records: { ...records, payloads: [null, null] } };
      return { body: { results: [result] }, vectors: Float32Array.of(9, 8, 7, 6) };
    },
  });
  const vectors = Float32Array.of(0.1, -3e38, 1e-40);
  const route = rig.route(workerId);
  const reply = await rig.link.request(route, 'points-query', QUERY, vectors, within(5_000));
  assert.deepEqual(seen, [route.shardId, QUERY, vectors, true]);
  assert.deepEqual(reply.body.results[0]?.records.ids, [1, 2n ** 63n]);
  assert.deepEqual(reply.vectors, Float32Array.of(9, 8, 7, 6));
});

test('an error keeps its code and text; a defect is logged and shown as internal', async (t) => {
  const rig = await Rig.start(t);
  let error: unknown;
  const { workerId } = await rig.connectedWorker({
    'points-count': () => {
      throw error;
    },
    'points-delete': () => Promise.reject(error),
  });
  const cases: [unknown, string, string][] = [
    [new AppError('point_not_found', 'no point 7'), 'point_not_found', 'no point 7'],
    [new InvalidInput('filter', 'is odd'), 'invalid_argument', 'filter: is odd'],
    [new Error('secret text'), 'internal', 'an internal error; it has been logged'],
  ];
  for (const [thrown, code, message] of cases) {
    error = thrown;
    await assert.rejects(askCount(rig, workerId), { name: 'AppError', code, message });
    await assert.rejects(askDelete(rig, workerId), { name: 'AppError', code, message });
  }
  const logged = rig.workerLogged.saw('request_failed');
  assert.equal(logged.length, 2);
  assert.equal(logged[0]?.fields.error, error);
});

test('an answer that breaks its schema fails that request only', async (t) => {
  const rig = await Rig.start(t);
  let value = -1;
  const { workerId } = await rig.connectedWorker({ 'points-count': () => count(value) });
  await assert.rejects(askCount(rig, workerId), { code: 'internal' });
  assert.equal(rig.logged.saw('request_failed').length, 1);
  value = 1;
  assert.equal((await askCount(rig, workerId)).body.count, 1);
});

test('frames that are too large are refused before they are sent', async (t) => {
  const rig = await Rig.start(t);
  const huge = new Float32Array(LIMITS.frameBytesMax / 4);
  const { workerId } = await rig.connectedWorker({
    'points-count': () => ({ body: { count: 1 }, vectors: huge }),
    'points-delete': () => ({
      body: { version: 1, points: 0, bytes: 0, digest: 0 },
      vectors: EMPTY,
    }),
  });
  const route = rig.route(workerId);
  await assert.rejects(askCount(rig, workerId), {
    code: 'invalid_argument',
    message: /fewer points/,
  });
  const sent = rig.link.request(route, 'points-delete', DELETE_ONE, huge, within(5_000));
  await assert.rejects(sent, { code: 'body_too_large' });
  assert.equal((await askDelete(rig, workerId)).body.version, 1);
});

test('1,000 requests at once each get their own answer', async (t) => {
  const rig = await Rig.start(t);
  const held: (() => void)[] = [];
  const { workerId } = await rig.connectedWorker({
    'points-query': (_shardId, _body, vectors) => {
      const records = { ids: [vectors[0] ?? -1], versions: [1], vectors: true };
      const answer = { body: { results: [{ scores: [1], records }] }, vectors: vectors.slice() };
      if (vectors[0] === undefined || vectors[0] % 2 === 0) return answer;
      return new Promise((resolve) => held.push(() => resolve(answer)));
    },
    'points-count': () => {
      for (const release of held.toReversed()) release();
      return count(held.length);
    },
  });
  const route = rig.route(workerId);
  const replies = Array.from({ length: 1_000 }, (_, i) => {
    const vectors = new Float32Array(256).fill(i);
    return rig.link.request(route, 'points-query', QUERY, vectors, within(20_000));
  });
  assert.equal(rig.link.inFlight(workerId), 1_000);
  assert.equal((await askCount(rig, workerId, within(20_000))).body.count, 500);
  for (const [i, { body, vectors }] of (await Promise.all(replies)).entries()) {
    assert.deepEqual([body.results[0]?.records.ids[0], vectors[255]], [i, i]);
  }
  assert.equal(rig.link.inFlight(workerId), 0);
});

test('requests to one worker are bounded by number and by bytes', async (t) => {
  const rig = await Rig.start(t);
  const away = newWorkerId();
  const many = Array.from({ length: LIMITS.workerInFlightMax }, () =>
    askCount(rig, away, within(50)),
  );
  const settled = Promise.allSettled(many);
  await assert.rejects(askCount(rig, away), { code: 'overloaded' });
  for (const result of await settled) assert.equal(result.status, 'rejected');
  const big = new Float32Array(LIMITS.linkBufferedBytesMax / 4 / 4);
  const send = () =>
    rig.link.request(rig.route(away), 'points-delete', DELETE_ONE, big, within(500));
  const three = Promise.allSettled([send(), send(), send()]);
  await assert.rejects(send(), { code: 'overloaded' });
  for (const result of await three) {
    assert.equal(result.status === 'rejected' && result.reason.code, 'unavailable');
  }
});

test('a request waits for its worker, at most until its deadline', async (t) => {
  const rig = await Rig.start(t);
  const workerId = newWorkerId();
  const early = askCount(rig, workerId);
  await assert.rejects(askCount(rig, workerId, within(30)), { code: 'unavailable' });
  await assert.rejects(askCount(rig, workerId, within(0)), { code: 'deadline_exceeded' });
  await rig.connectedWorker({ 'points-count': () => count(5) }, { workerId });
  assert.equal((await early).body.count, 5);
});

test('a worker that is silent costs the deadline; its late answer meets nobody', async (t) => {
  const rig = await Rig.start(t);
  const worker = await RawWorker.connect(t, rig.url);
  const slow = askCount(rig, worker.workerId, within(60));
  const first = await worker.nextFrame();
  await assert.rejects(slow, { code: 'deadline_exceeded' });
  const cancelled = await worker.nextFrame();
  assert.deepEqual([cancelled.kind, cancelled.requestId], ['cancel', first.requestId]);
  const write = askDelete(rig, worker.workerId, within(30));
  await assert.rejects(write, { code: 'deadline_exceeded', message: /may or may not/ });
  assert.equal((await worker.nextFrame()).kind, 'request');
  const next = askCount(rig, worker.workerId);
  const second = await worker.nextFrame();
  assert.notEqual(second.requestId, first.requestId);
  worker.socket.send(countReply(first, 111));
  worker.socket.send(countReply(second, 222, { epoch: second.epoch + 1 }));
  worker.socket.send(countReply(second, 333, { requestId: second.requestId + 1 }));
  worker.socket.send(countReply(second, 4));
  worker.socket.send(countReply(second, 444));
  assert.equal((await next).body.count, 4);
  assert.deepEqual(rig.link.connected(), [worker.workerId]);
});

test('a lost line: a read is asked again, a write is not', async (t) => {
  const rig = await Rig.start(t);
  const worker = await RawWorker.connect(t, rig.url);
  const { workerId } = worker;
  const read = askCount(rig, workerId);
  const write = askDelete(rig, workerId);
  const unknown = assert.rejects(write, { code: 'write_outcome_unknown' });
  await worker.nextFrame();
  await worker.nextFrame();
  worker.socket.terminate();
  await unknown;
  let writes = 0;
  await rig.connectedWorker(
    {
      'points-count': () => count(6),
      'points-delete': () => {
        writes += 1;
        return { body: { version: 1, points: 0, bytes: 0, digest: 0 }, vectors: EMPTY };
      },
    },
    { workerId },
  );
  assert.equal((await read).body.count, 6);
  assert.equal(writes, 0);
  assert.deepEqual(rig.logged.saw('link_lost')[0]?.fields.inFlight, 2);
});

test('a read that kills every worker it meets ends', async (t) => {
  const rig = await Rig.start(t);
  const workerId = newWorkerId();
  const read = assert.rejects(askCount(rig, workerId, within(30_000)), { code: 'unavailable' });
  for (let life = 0; life < 3; life += 1) {
    const worker = new RawWorker(t, rig.url, workerId);
    await worker.greet();
    await worker.next();
    await worker.nextFrame();
    worker.socket.terminate();
    await worker.closed;
  }
  await read;
});

test('a worker that is not answering holds no more than its share of handlers', async (t) => {
  const rig = await Rig.start(t);
  const { workerId, link } = await rig.connectedWorker({ 'points-count': () => never() });
  const fill = Array.from({ length: LIMITS.workerInFlightMax }, () =>
    askCount(rig, workerId, within(2_000)),
  );
  await Promise.allSettled(fill);
  assert.equal(link.inFlight, LIMITS.workerInFlightMax);
  await assert.rejects(askCount(rig, workerId), { code: 'overloaded' });
});

test('a worker is asked about itself without a shard, and only while it is there', async (t) => {
  const rig = await Rig.start(t);
  const status = {
    shards: 2,
    cpu: 0.5,
    memoryBytes: 3,
    diskFreeBytes: 2 ** 40,
    diskBytes: 2 ** 41,
  };
  const shards: unknown[] = [];
  const { workerId } = await rig.connectedWorker({
    'worker-status': (shardId) => {
      shards.push(shardId);
      return { body: status, vectors: EMPTY };
    },
  });
  const answer = await rig.link.askWorker(workerId, 'worker-status', {}, within(5_000));
  assert.deepEqual([answer, shards], [status, [undefined]]);
  const away = rig.link.askWorker(newWorkerId(), 'worker-status', {}, within(5_000));
  await assert.rejects(away, { code: 'unavailable' });
  const ask = rig.link.request(rig.route(workerId), 'worker-status', {}, undefined, within(5_000));
  await assert.rejects(ask, /names its shard/);
});
