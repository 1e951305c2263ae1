/**
 * A worker that is stopped or away for long: what is kept for it stays small, and who waits with
 * much, or with a write, hears early what has become of it.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { ManualClock } from '../../shared/base/clock.ts';
import type { WorkerId } from '../../shared/base/ids.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import type { Request } from '../../shared/protocol/messages.ts';
import { EMPTY, newWorkerId, RawWorker, Rig, within } from './link-rig.ts';

const DELETE_ONE: Request<'points-delete'> = { version: 1, points: { kind: 'ids', ids: [1] } };
const MIB = 2 ** 20;
/** A manual clock fires each timer once a step. */
const STEP_MS = 10;
const MIB_OF_FLOATS = new Float32Array(MIB / 4);
/** Longer than anything here takes. */
const DEADLINE_MS = 30_000;
const WRITTEN = { body: { version: 1, points: 0, bytes: 0, digest: 0 }, vectors: EMPTY };

async function start(t: TestContext) {
  const clock = new ManualClock();
  const rig = await Rig.start(t, clock);
  const outcomes: string[] = [];
  const note = (name: string, asked: Promise<unknown>) => {
    asked.then(
      () => outcomes.push(`${name}: done`),
      (error: { code: string }) => outcomes.push(`${name}: ${error.code}`),
    );
    return asked;
  };
  const read = (workerId: WorkerId, vectors?: Float32Array) => {
    const [route, deadline] = [rig.route(workerId), within(DEADLINE_MS, clock)];
    return rig.link.request(route, 'points-count', { exact: true }, vectors, deadline);
  };
  const write = (workerId: WorkerId, vectors?: Float32Array) => {
    const [route, deadline] = [rig.route(workerId), within(DEADLINE_MS, clock)];
    return rig.link.request(route, 'points-delete', DELETE_ONE, vectors, deadline);
  };
  /** One of each kind. */
  const askAll = (workerId: WorkerId) => {
    note('large write', write(workerId, MIB_OF_FLOATS)).catch(() => undefined);
    note('large read', read(workerId, MIB_OF_FLOATS)).catch(() => undefined);
    note('small write', write(workerId)).catch(() => undefined);
    note('small read', read(workerId)).catch(() => undefined);
  };
  /** Time passes, and who has heard something says so. */
  const pass = async (ms: number) => {
    for (let passed = 0; passed < ms; passed += STEP_MS) clock.advance(STEP_MS);
    await new Promise(setImmediate);
    return outcomes.splice(0).sort();
  };
  return { rig, askAll, pass, read, write };
}

test('a worker that is silent: little is admitted, and large requests end early', async (t) => {
  const { rig, askAll, pass, read, write } = await start(t);
  const { workerId } = await RawWorker.connect(t, rig.url, { autoPong: false });
  askAll(workerId);
  assert.deepEqual(await pass(1_500), []);
  assert.equal(rig.link.isSilent(workerId), true);
  const more = [write(workerId, MIB_OF_FLOATS), write(workerId, MIB_OF_FLOATS)];
  const ended = Promise.allSettled(more);
  const tooMuch = new Float32Array((LIMITS.muteLinkBytesMax - 4 * MIB) / 4);
  await assert.rejects(write(workerId, tooMuch), { code: 'overloaded' });
  await assert.rejects(read(workerId, tooMuch), { code: 'overloaded', status: 503 });
  assert.deepEqual(await pass(3_000), []);
  assert.deepEqual(await pass(600), [
    'large read: unavailable',
    'large write: write_outcome_unknown',
  ]);
  assert.equal(rig.link.inFlight(workerId), 4, 'later ones wait as long as these did');
  assert.deepEqual(await pass(4_000), ['small write: write_outcome_unknown']);
  await ended;
  assert.deepEqual(rig.link.connected(), []);
  assert.equal(rig.link.inFlight(workerId), 1, 'the small read waits for another line');
  await assert.rejects(write(workerId, new Float32Array(LIMITS.muteLinkBytesMax / 4)), {
    code: 'overloaded',
  });
});

test('a worker that is away: writes and large requests end early, and changed nothing', async (t) => {
  const { rig, askAll, pass, write } = await start(t);
  const workerId = newWorkerId();
  askAll(workerId);
  const much = new Float32Array(LIMITS.muteLinkBytesMax / 4);
  const restarting = assert.rejects(write(workerId, much), { code: 'unavailable' });
  assert.deepEqual(await pass(2_000), [], 'a restart is waited for');
  await assert.rejects(write(workerId, MIB_OF_FLOATS), { code: 'overloaded' });
  const large = ['large read: unavailable', 'large write: unavailable'];
  assert.deepEqual(await pass(3_020), large);
  await restarting;
  assert.deepEqual(await pass(5_000), ['small write: unavailable']);
  await rig.connectedWorker(
    { 'points-count': () => ({ body: { count: 1 }, vectors: EMPTY }) },
    { workerId },
  );
  await write(workerId, MIB_OF_FLOATS).catch(() => undefined);
  assert.deepEqual(await pass(0), ['small read: done']);
});

test('a worker that is only slow is waited for until the deadline', async (t) => {
  const { rig, pass, askAll } = await start(t);
  const held: (() => void)[] = [];
  const hold = <T>(answer: T) => new Promise<T>((resolve) => held.push(() => resolve(answer)));
  const { workerId } = await rig.connectedWorker({
    'points-delete': () => hold(WRITTEN),
    'points-count': () => hold({ body: { count: 1 }, vectors: EMPTY }),
  });
  askAll(workerId);
  while (held.length < 4) await new Promise(setImmediate);
  for (let ms = 0; ms < 20_000; ms += 500) {
    assert.deepEqual(await pass(500), []);
    // Time for the answer to the heartbeat.
    await sleep(5);
    assert.equal(rig.link.isSilent(workerId), false);
  }
  for (const release of held) release();
  while (rig.link.inFlight(workerId) > 0) await new Promise(setImmediate);
  const done = ['large read', 'large write', 'small read', 'small write'].map(
    (name) => `${name}: done`,
  );
  assert.deepEqual(await pass(0), done);
});
