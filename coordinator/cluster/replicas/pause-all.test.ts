import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../../shared/base/clock.ts';
import { AppError } from '../../../shared/errors/app-error.ts';
import { pauseAll } from './pause-all.ts';

const WAIT_MS = 500;

/** Pauses when it is told to. */
class Shard {
  paused = false;
  readonly ready = Promise.withResolvers<void>();

  async exclusive<T>(_waitMs: number, change: () => Promise<T>): Promise<T> {
    await this.ready.promise;
    this.paused = true;
    try {
      return await change();
    } finally {
      this.paused = false;
    }
  }
}

const soon = () => new Promise((next) => setImmediate(next));

test('the change runs when all are paused, and all go on when it has ended', async () => {
  const clock = new ManualClock();
  const shards = [new Shard(), new Shard(), new Shard()];
  const over = Promise.withResolvers<string>();
  let ran = 0;
  const result = pauseAll(shards, { clock, waitMs: WAIT_MS }, () => {
    ran += 1;
    return over.promise;
  });
  shards[1]?.ready.resolve();
  shards[0]?.ready.resolve();
  await soon();
  assert.equal(ran, 0);
  shards[2]?.ready.resolve();
  await soon();
  assert.equal(ran, 1);
  assert.ok(shards.every(({ paused }) => paused));
  over.resolve('done');
  assert.equal(await result, 'done');
  await soon();
  assert.ok(shards.every(({ paused }) => !paused));
});

test('one that can not be paused lets the others go on', async () => {
  const clock = new ManualClock();
  const [first, second] = [new Shard(), new Shard()];
  const result = pauseAll([first, second], { clock, waitMs: WAIT_MS }, () => assert.fail('it ran'));
  first.ready.resolve();
  const busy = new AppError('overloaded', 'busy');
  second.ready.reject(busy);
  await assert.rejects(result, busy);
  await soon();
  assert.equal(first.paused, false);
});

test('one that is late is not waited for, and pauses for no time when it could', async () => {
  const clock = new ManualClock();
  const [first, second] = [new Shard(), new Shard()];
  const result = pauseAll([first, second], { clock, waitMs: WAIT_MS }, () => assert.fail('it ran'));
  first.ready.resolve();
  await soon();
  clock.advance(WAIT_MS);
  await assert.rejects(result, { code: 'overloaded' });
  await soon();
  assert.equal(first.paused, false);
  second.ready.resolve();
  await soon();
  assert.equal(second.paused, false);
});
