/**
 * The protocol of writes, and of what is carried of them to the ledger, against workers and coordinators
 * that die at random (`test/cluster/world.ts`).
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must } from '../../../shared/base/assert.ts';
import { systemClock } from '../../../shared/base/clock.ts';
import { Deadline } from '../../../shared/base/deadline.ts';
import { SeededRandom } from '../../../shared/base/random.ts';
import { play, World } from '../../../test/cluster/world.ts';
import { takeSeed } from '../../../test/harness/seed.ts';
import { isSame } from './replica.ts';

const HISTORIES = 150;

for (const needed of [1, 2]) {
  test(`whatever dies, each replica in sync has what was acknowledged, and all hold the same (${needed})`, async (t) => {
    const seed = takeSeed(t, 20_261_127);
    let written = 0;
    let undone = 0;
    for (let history = 0; history < HISTORIES; history += 1) {
      const { world, acknowledged, refused } = await play(new SeededRandom(seed + history), needed);
      const at = `history ${seed + history}`;
      const [first, ...others] = world.set.readers().map((workerId) => world.disk(workerId));
      assert.ok(first !== undefined, at);
      for (const other of others) assert.ok(isSame(first.usage(), other.usage()), at);
      for (const [id, value] of acknowledged) {
        assert.equal(first.rows.get(id)?.value, value, `${at}, id ${id}`);
        written += 1;
      }
      for (const { value } of first.rows.values())
        assert.ok(!refused.has(value), `${at}, ${value}`);
      await world.metering.carry(world.set);
      const inLedger = world.ledger.versions.toSorted((a, b) => a - b);
      const done = [...first.history].sort((a, b) => a - b);
      assert.deepEqual(inLedger, done, `${at}: each write once in the ledger`);
      undone += world.undone;
    }
    assert.ok(written > HISTORIES, 'writes were acknowledged');
    assert.equal(undone > HISTORIES / 10, needed > 1, `${undone} times writes were undone`);
    t.diagnostic(`${written} writes at the end, ${undone} times some were undone`);
  });
}

test('replicas of which one can be read are compared when that is asked for', async (t) => {
  const world = new World(new SeededRandom(takeSeed(t, 7)), 2, 1);
  const inTime = () => Deadline.after(systemClock, 5_000);
  await world.set.readable(inTime());
  const [first, second] = [...world.disks.keys()];
  const returned = must(second, 'two');
  world.kill(returned);
  world.start(returned);
  await world.set.readable(inTime());
  assert.deepEqual(world.set.readers(), [first], 'nobody has to wait for the other one');
  await world.set.prove(inTime());
  assert.deepEqual(world.set.readers(), [first, second]);
});
