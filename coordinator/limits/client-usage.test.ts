import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../shared/base/clock.ts';
import type { Deadline } from '../../shared/base/deadline.ts';
import type { ClientId, ShardId, WorkerId } from '../../shared/base/ids.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import { recordingLog } from '../../test/harness/recording-log.ts';
import { ClientUsage } from './client-usage.ts';
import type { Held } from './usage-account.ts';

const HERS = 'cl_aaaaaaaaaaaaaaaa' as ClientId;
const OWNER = { clientId: HERS, mode: 'live' } as const;
const HIS = 'cl_bbbbbbbbbbbbbbbb' as ClientId;
const NEAR = 'wk_aaaaaaaaaaaaaaaa' as WorkerId;
const FAR = 'wk_bbbbbbbbbbbbbbbb' as WorkerId;

const GRACE_MS = 10_000;

/** Each shard holds one point. */
function start(shards: number, workers = [NEAR, FAR]) {
  const clock = new ManualClock();
  const { log, saw } = recordingLog();
  const state = {
    away: new Set<WorkerId>(),
    asked: [] as ShardId[],
    most: 0,
    underWay: 0,
    /** Of the deadline that each was asked with, by worker. */
    patienceMs: new Map<WorkerId, number>(),
    answer: (): Held => ({ version: 1, points: 1, bytes: 0 }),
  };
  const shardsOf = ({ clientId }: { clientId: ClientId }) =>
    Array.from({ length: shards }, (_, i) => ({ shardId: `${clientId}-${i}` as ShardId }));
  const holderOf = (shardId: ShardId) => {
    const number = Number(shardId.slice(HERS.length + 1));
    return workers[number % workers.length] ?? NEAR;
  };
  const ask = async (shardId: ShardId, deadline: Deadline) => {
    state.asked.push(shardId);
    state.patienceMs.set(holderOf(shardId), deadline.remainingMs());
    state.underWay += 1;
    state.most = Math.max(state.most, state.underWay);
    await new Promise(setImmediate);
    state.underWay -= 1;
    if (state.away.has(holderOf(shardId))) throw new AppError('unavailable');
    return state.answer();
  };
  const connected = () => workers.filter((workerId) => !state.away.has(workerId));
  const usage = new ClientUsage({ shardsOf, ask, holderOf, connected, clock, log });
  return { usage, state, clock, saw };
}

test('all shards are asked once, some at a time, for all who need them', async () => {
  const { usage, state } = start(100);
  assert.equal(usage.mustAsk(OWNER), true);
  await Promise.all([usage.ask(OWNER), usage.ask(OWNER)]);
  assert.equal(usage.mustAsk(OWNER) || usage.mayAsk(OWNER), false);
  assert.deepEqual([state.asked.length, usage.account(OWNER).used.points], [100, 100]);
  assert.ok(state.most > 1 && state.most <= 16, `${state.most} at once`);
  assert.equal(usage.mustAsk({ clientId: HIS, mode: 'live' }), true);
});

test('collections that were made since the start are known', async () => {
  const { usage, state } = start(1);
  const shards = [{ shardId: `${HERS}-0` as ShardId }];
  usage.created({ clientId: HERS, mode: 'live', shards });
  usage.created({ clientId: HIS, mode: 'test', shards });
  await usage.ask(OWNER);
  assert.deepEqual(state.asked, []);
  usage.dropped({ clientId: HERS, mode: 'live', shards });
  assert.equal(usage.account(OWNER).shard(`${HERS}-0` as ShardId), undefined);
  assert.equal(
    usage.account({ clientId: HIS, mode: 'live' }).shard(`${HERS}-0` as ShardId),
    undefined,
  );
});

test('a worker that is away is waited for once, and its shards asked when it comes', async () => {
  const { usage, state, clock, saw } = start(400);
  clock.advance(GRACE_MS);
  state.away.add(FAR);
  await usage.ask(OWNER);
  assert.equal(usage.account(OWNER).used.points, 200);
  const waitedFor = state.asked.length - 200;
  assert.ok(waitedFor > 0 && waitedFor <= 16, `${waitedFor} of its shards were asked`);
  assert.deepEqual(saw('usage_unknown')[0]?.fields.shards, 200);
  await usage.ask({ clientId: HIS, mode: 'live' });
  assert.equal(state.asked.length, 400 + waitedFor, 'nor is it by the next client');
  clock.advance(3_600_000);
  assert.equal(usage.mustAsk(OWNER) || usage.mayAsk(OWNER), false, 'writes go on');
  state.away.clear();
  usage.workerCame(FAR);
  assert.equal(usage.mustAsk(OWNER), true);
  await usage.ask(OWNER);
  assert.equal(usage.account(OWNER).used.points, 400);
});

test('a worker that is there and does not answer is asked again after a pause', async () => {
  const { usage, state, clock } = start(100, [NEAR]);
  clock.advance(GRACE_MS);
  const right = state.answer;
  state.answer = () => {
    throw new AppError('deadline_exceeded');
  };
  await usage.ask(OWNER);
  assert.ok(state.asked.length <= 16, `${state.asked.length} asked`);
  assert.equal(usage.mustAsk(OWNER), false);
  clock.advance(5_000);
  state.answer = right;
  assert.equal(usage.mustAsk(OWNER), true);
  await usage.ask(OWNER);
  assert.equal(usage.account(OWNER).used.points, 100);
});

test('a worker that is not connected is waited for shortly, and longer after a start', async () => {
  const { usage, state, clock } = start(2);
  clock.advance(500);
  state.away.add(FAR);
  const starting = usage.ask({ clientId: HIS, mode: 'live' });
  await new Promise(setImmediate);
  assert.deepEqual([state.patienceMs.get(NEAR), state.patienceMs.get(FAR)], [5_000, 9_500]);
  clock.advance(60_000);
  await starting;
  assert.deepEqual([state.patienceMs.get(NEAR), state.patienceMs.get(FAR)], [5_000, 500]);
});

test('who does not answer right after a start is asked again until the time for it is over', async () => {
  const { usage, state, clock, saw } = start(3);
  const right = state.answer;
  state.answer = () => {
    throw new AppError('unavailable');
  };
  const asked = usage.ask(OWNER);
  for (let waited = 0; waited < 5_000; waited += 100) {
    await new Promise(setImmediate);
    await new Promise(setImmediate);
    clock.advance(100);
  }
  assert.equal(usage.mustAsk(OWNER), true, 'nothing is taken for known meanwhile');
  state.answer = right;
  await new Promise(setImmediate);
  clock.advance(100);
  await asked;
  assert.equal(usage.account(OWNER).used.points, 3);
  assert.deepEqual(saw('usage_unknown'), []);
});
