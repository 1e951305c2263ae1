import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { ManualClock } from '../../shared/base/clock.ts';
import type { ShardId } from '../../shared/base/ids.ts';
import { recordingLog } from '../../test/harness/recording-log.ts';
import { temporaryFolder } from '../../test/harness/temporary-folder.ts';
import { Openings } from './openings.ts';

const [A, B, C] = ['a', 'b', 'c'] as ShardId[] as [ShardId, ShardId, ShardId];

/** Processes on one folder, each of which is left when the next one starts. */
function processes(t: TestContext) {
  const dataDir = temporaryFolder(t);
  const clock = new ManualClock();
  const { log, saw } = recordingLog();
  const start = () => {
    const openings = new Openings({ clock, log }, { dataDir });
    openings.start();
    return openings;
  };
  return { dataDir, clock, saw, start };
}

/** An opening in which the process will die. */
const forever = () => new Promise<never>(() => undefined);
const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Begins to open shards, all at once. */
async function begin(openings: Openings, ...shards: ShardId[]): Promise<void> {
  for (const shardId of shards) void openings.run(shardId, forever);
  await turn();
}

test('a shard that was opened, or whose opening failed, leaves nothing', async (t) => {
  const { dataDir, start } = processes(t);
  const openings = start();
  assert.equal(await openings.run(A, async () => 1), 1);
  await assert.rejects(
    openings.run(B, async () => {
      throw new Error('it has no rows');
    }),
    /no rows/,
  );
  for (const state of ['under-way', 'suspect', 'quarantine']) {
    assert.deepEqual(readdirSync(join(dataDir, 'openings', state)), []);
  }
});

test('the second death in a row quarantines a shard, for good', async (t) => {
  const { start, saw } = processes(t);
  await begin(start(), A);
  const second = start();
  assert.deepEqual(second.quarantined, []);
  await begin(second, A);
  const third = start();
  assert.deepEqual([third.quarantined, third.isQuarantined(A)], [[A], true]);
  assert.deepEqual(start().quarantined, [A]);
  assert.deepEqual([saw('shard_suspected').length, saw('shard_quarantined').length], [1, 1]);
});

test('a suspect that opens is one no more', async (t) => {
  const { start } = processes(t);
  await begin(start(), A);
  const second = start();
  await second.run(A, async () => undefined);
  await begin(second, A);
  assert.deepEqual(start().quarantined, []);
});

test('who is opened beside the one to blame is not blamed for it', async (t) => {
  const { start, clock } = processes(t);
  await begin(start(), A, B, C);
  const second = start();
  await begin(second, A, B, C);
  // The first of them is alone, and it is the one.
  const third = start();
  assert.deepEqual(third.quarantined, [A]);
  for (const good of [B, C]) await third.run(good, async () => undefined);
  await begin(third, B);
  await begin(third, C);
  const fourth = start();
  assert.deepEqual(fourth.quarantined, [A]);
  // A suspect that takes long lets others begin: what dies then proves nothing.
  await begin(fourth, B, C);
  clock.advance(10_000);
  await turn();
  assert.deepEqual(start().quarantined, [A]);
});

test('a suspect waits for those under way, and others wait for it', async (t) => {
  const { start, clock } = processes(t);
  await begin(start(), A);
  const openings = start();
  const order: string[] = [];
  const slow = Promise.withResolvers<void>();
  const opened = [
    openings.run(B, async () => {
      await slow.promise;
      order.push('b');
    }),
    openings.run(A, async () => {
      order.push('a begins');
      await forever();
    }),
    openings.run(C, async () => {
      order.push('c');
    }),
  ];
  await turn();
  assert.deepEqual(order, []);
  slow.resolve();
  await turn();
  assert.deepEqual(order, ['b', 'a begins']);
  clock.advance(2_000);
  await opened[2];
  assert.deepEqual(order, ['b', 'a begins', 'c']);
});

test('an operator releases it: it is opened once more, and one more death is enough', async (t) => {
  const { start, saw } = processes(t);
  await begin(start(), A);
  await begin(start(), A);
  const third = start();
  assert.equal(third.release(B), false);
  assert.equal(third.release(A), true);
  assert.deepEqual([third.quarantined, third.release(A)], [[], false]);
  assert.equal(saw('shard_released').length, 1);
  const fourth = start();
  assert.deepEqual(fourth.quarantined, [], 'it survives a restart');
  await begin(fourth, A);
  assert.deepEqual(start().quarantined, [A]);
});

test('a process that ends by itself leaves no suspects, and an erased shard nothing', async (t) => {
  const { start } = processes(t);
  const first = start();
  await begin(first, A);
  first.close();
  const second = start();
  await begin(second, A);
  await begin(start(), A);
  const fourth = start();
  assert.deepEqual(fourth.quarantined, [A]);
  fourth.forget(A);
  assert.deepEqual(start().quarantined, []);
});
