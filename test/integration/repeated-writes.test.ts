/**
 * A write under an `Idempotency-Key` takes effect once, over three shards with two replicas each:
 * whoever answers the repetition, and after any restart.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  type KeyedWrite,
  numbersIn,
  type Said,
  tryOnce,
  untilAnswered,
  untilLevel,
} from '../harness/keyed-writes.ts';
import { type Service, startService } from '../harness/service.ts';

const SPREAD = { shard_number: 3, replication_factor: 2 };
const SHAPE = { vectors: { size: 4, distance: 'Dot' }, ...SPREAD };
const POINTS = '/collections/c/points';
const IDS = Array.from({ length: 60 }, (_, i) => i + 1);
const NOT_NONE = { filter: { must_not: [{ has_id: [0] }] } };
/** Longer than a coordinator waits for a replica before it goes on without. */
const STOP_MS = 2_500;

const put: KeyedWrite = {
  method: 'PUT',
  path: POINTS,
  body: { points: IDS.map((id) => ({ id, vector: [id, 1, 1, 1], payload: { n: 0 } })) },
};
const set = (n: number, selector: object, key?: string): KeyedWrite => {
  const body = { payload: { n }, ...selector };
  return { method: 'POST', path: `${POINTS}/payload`, body, ...(key !== undefined && { key }) };
};

async function startSharded(t: Parameters<typeof startService>[0]): Promise<Service> {
  const service = await startService(t, { workers: 3 });
  const made = await untilAnswered(service, {
    method: 'PUT',
    path: '/collections/c',
    body: SHAPE,
  });
  assert.equal(made.status, 200);
  return service;
}

async function expectAll(service: Service, n: number): Promise<void> {
  const numbers = await numbersIn(service, POINTS, IDS);
  assert.deepEqual([...new Set(numbers.values())], [n]);
  assert.equal(numbers.size, IDS.length);
}

/** Each again answers what it answered, and changes nothing. */
async function expectDone(
  service: Service,
  done: ReadonlyMap<KeyedWrite, Said>,
  n: number,
): Promise<void> {
  for (const [write, said] of done) {
    assert.deepEqual(await untilAnswered(service, write), said, write.key);
  }
  await expectAll(service, n);
}

test('whoever answers, a repetition changes nothing and answers the same', async (t) => {
  const service = await startSharded(t);
  const done = new Map<KeyedWrite, Said>();
  const doAll = async (...writes: KeyedWrite[]) => {
    for (const write of writes) {
      const said = await untilAnswered(service, write);
      assert.equal(said.status, 200, JSON.stringify(said));
      if (write.key !== undefined) done.set(write, said);
    }
  };
  await doAll({ ...put, key: 'put' });
  const remove = { method: 'POST', path: `${POINTS}/delete`, body: { points: IDS } };
  await doAll(set(1, { points: IDS }, 'ids'), set(2, NOT_NONE, 'filter'));
  await doAll({ ...remove, key: 'remove' }, put, set(3, NOT_NONE));
  await expectDone(service, done, 3);

  const other = await untilAnswered(service, set(9, { points: IDS }, 'filter'));
  assert.deepEqual([other.status, other.code], [409, 'conflict']);

  // Writes that one replica of some shards misses.
  const [first = '', ...others] = service.workerNames;
  await whileStopped(service, first, () => {
    return doAll(
      set(4, { points: IDS }, 'missed-ids'),
      set(5, NOT_NONE, 'missed'),
      set(6, NOT_NONE),
    );
  });
  await untilLevel(service);
  // Now it has to answer for each of the others.
  for (const name of others) {
    await whileStopped(service, name, () => expectDone(service, done, 6));
    await untilLevel(service);
  }
  await Promise.all(['coordinator', first, ...others].map((name) => service.killAndWait(name)));
  await expectDone(service, done, 6);
});

async function whileStopped(service: Service, name: string, act: () => Promise<void>) {
  const pid = service.pidOf(name);
  process.kill(pid, 'SIGSTOP');
  try {
    await sleep(STOP_MS);
    await act();
  } finally {
    process.kill(pid, 'SIGCONT');
  }
}

test('of many at once one takes effect, and all get its answer', async (t) => {
  const service = await startSharded(t);
  await untilAnswered(service, put);
  for (let round = 1; round <= 5; round += 1) {
    const write = set(round, NOT_NONE, `round-${round}`);
    const answers = await Promise.all(Array.from({ length: 12 }, () => tryOnce(service, write)));
    const [first] = answers;
    assert.equal(first?.status, 200);
    for (const answer of answers) assert.deepEqual(answer, first);
    await expectAll(service, round);
  }
});

test('all is known after the service was stopped and started again', async (t) => {
  const before = await startSharded(t);
  await untilAnswered(before, put);
  const write = set(1, NOT_NONE, 'kept');
  const said = await untilAnswered(before, write);
  await untilAnswered(before, set(2, NOT_NONE));
  await before.stop();
  const service = await startService(t, { workers: 3, data: before.data });
  await expectDone(service, new Map([[write, said]]), 2);
});
