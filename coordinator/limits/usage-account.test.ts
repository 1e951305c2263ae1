import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must } from '../../shared/base/assert.ts';
import type { ShardId } from '../../shared/base/ids.ts';
import { type Reservation, type ShardUsage, UsageAccount } from './usage-account.ts';

const A = 'shard-a' as ShardId;
const B = 'shard-b' as ShardId;
const QUOTA = { points: 10, bytes: 1_000 };

const need = (points: number, bytes = 0) => ({ points, bytes });
const said = (version: number, points: number, bytes = 0) => ({ version, points, bytes });

function open(): { account: UsageAccount; a: ShardUsage; b: ShardUsage } {
  const account = new UsageAccount();
  account.add(A, 'empty');
  account.add(B, 'empty');
  const shardOf = (id: ShardId) => must(account.shard(id), 'it was added');
  return { account, a: shardOf(A), b: shardOf(B) };
}

function promised(account: UsageAccount, shard: ShardUsage, points: number): Reservation {
  const reservation = account.enter(shard);
  account.promise(reservation, need(points), QUOTA);
  return reservation;
}

/** Resolves to whether the turn has come by now. */
async function hasCome(turn: Promise<void>): Promise<boolean> {
  let come = false;
  void turn.then(() => {
    come = true;
  });
  await new Promise(setImmediate);
  return come;
}

test('what is promised is gone for others until it is answered or given back', () => {
  const { account, a, b } = open();
  const first = promised(account, a, 6);
  const second = promised(account, b, 6);
  assert.deepEqual([first.points, second.points, second.contended], [6, 4, true]);
  account.written(first, said(1, 2));
  account.leave(first);
  assert.deepEqual(account.used, need(2));
  assert.equal(account.promise(second, need(6), QUOTA), true);
  account.leave(second);
  const third = account.enter(b);
  assert.equal(account.promise(third, need(9), QUOTA), false);
  assert.deepEqual([third.points, third.contended], [8, false], 'nobody else has it');
  assert.equal(account.promise(third, need(0, 1_001), QUOTA), false, 'bytes are counted apart');
  assert.equal(third.bytes, 1_000);
});

test('the latest version counts, in whatever order the answers come', () => {
  const { account, a } = open();
  const [first, second] = [promised(account, a, 2), promised(account, a, 2)];
  account.written(second, said(2, 4));
  assert.equal(account.promise(account.enter(a), need(5), QUOTA), false, 'counted twice for now');
  account.written(first, said(1, 2));
  assert.deepEqual(account.used, need(4));
  account.learn(a, said(3, 1));
  assert.deepEqual(account.used, need(1));
});

test('a shard that is dropped frees its part; what is still under way to it adds nothing', () => {
  const { account, a, b } = open();
  account.learn(a, said(1, 7));
  account.learn(b, said(1, 1));
  const [answered, lost] = [promised(account, a, 1), promised(account, a, 1)];
  account.lose(a, promised(account, a, 0));
  account.drop(A);
  assert.deepEqual([account.used, account.unsure.size], [need(1), 0]);
  account.written(answered, said(2, 8));
  account.lose(a, lost);
  for (const reservation of [answered, lost]) account.leave(reservation);
  assert.equal(account.promise(account.enter(b), need(9), QUOTA), true);
});

test('what is in doubt stays out of reach until its shard was asked after the loss', () => {
  const { account, a, b } = open();
  const lost = promised(account, a, 4);
  account.lose(a, lost);
  account.leave(lost);
  const before = { doubt: { ...a.doubt }, lostCount: a.lostCount };
  const meanwhile = promised(account, a, 3);
  account.lose(a, meanwhile);
  account.leave(meanwhile);
  account.settle(a, said(1, 4), before);
  assert.deepEqual([...account.unsure], [a], 'it was asked before the second loss');
  const other = account.enter(b);
  account.promise(other, need(10), QUOTA);
  assert.equal(other.points, 10 - 4 - 3);
  account.settle(a, said(1, 4), { doubt: { ...a.doubt }, lostCount: a.lostCount });
  account.promise(other, need(10), QUOTA);
  assert.deepEqual([other.points, account.unsure.size], [6, 0]);
});

test('a turn waits for all that are ahead, turns too, and for none behind', async () => {
  const { account, a } = open();
  const [ahead, waiting, last] = [promised(account, a, 10), account.enter(a), account.enter(a)];
  for (const reservation of [waiting, last]) account.promise(reservation, need(1), QUOTA);
  const turn = account.turn(waiting, QUOTA);
  const lastTurn = account.turn(last, QUOTA);
  promised(account, a, 1);
  assert.equal(await hasCome(turn), false);
  account.leave(ahead);
  assert.deepEqual([await hasCome(turn), await hasCome(lastTurn)], [true, false]);
  account.leave(waiting);
  assert.equal(await hasCome(lastTurn), true);
});

test('at its turn a write has what is left, whoever claims it behind', async () => {
  const { account, a } = open();
  account.learn(a, said(1, 9));
  const ahead = promised(account, a, 1);
  const [first, second] = [promised(account, a, 1), promised(account, a, 1)];
  const turns = [account.turn(first, QUOTA), account.turn(second, QUOTA)];
  account.leave(ahead);
  await turns[0];
  assert.equal(promised(account, a, 1).points, 0, 'not for those that come now');
  assert.equal(account.promise(first, need(1), QUOTA), true);
  account.written(first, said(2, 10));
  account.leave(first);
  await turns[1];
  assert.equal(account.promise(second, need(1), QUOTA), false);
  assert.equal(second.points, 0);
});

test('what is counted twice takes nothing from who has its turn', async () => {
  const { account, a, b } = open();
  const ahead = promised(account, b, 9);
  const waiting = promised(account, a, 2);
  const turn = account.turn(waiting, QUOTA);
  account.leave(ahead);
  await turn;
  const behind = [promised(account, a, 4), promised(account, a, 4)];
  assert.deepEqual(
    behind.map(({ points }) => points),
    [4, 4],
  );
  // The answer to the second holds what the first added, which is promised as well until answered.
  account.written(must(behind[1], 'it is there'), said(2, 8));
  assert.equal(account.promise(waiting, need(2), QUOTA), true);
});
