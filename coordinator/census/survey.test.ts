/** How replicas are asked, and what becomes of their answers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must } from '../../shared/base/assert.ts';
import { ManualClock } from '../../shared/base/clock.ts';
import type { ClientId, ShardId, WorkerId } from '../../shared/base/ids.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import { DAY, NOON, Shards, WORKERS } from '../../test/harness/census-world.ts';
import type { CensusCollection } from './lines.ts';
import { type SurveyDeps, Surveyor, SurveyStopped, unknownIn } from './survey.ts';

const A = 'cl_aaaaaaaaaaaaaaaa' as ClientId;
const WANTED = { census: DAY, day: DAY, kind: 'scheduled' } as const;
const BOTH = [...WORKERS];

function over(shards: Shards, more: Partial<SurveyDeps> = {}): Surveyor {
  return new Surveyor({
    clients: { page: () => [] },
    collections: () => shards.records,
    current: (place) => shards.records.find((one) => one.collectionId === place.collectionId),
    setOf: (shardId) => shards.sets.get(shardId),
    ask: (route) => shards.ask(route),
    isConnected: (workerId) => !shards.away.has(workerId),
    lastKnown: async () => [],
    clock: new ManualClock(NOON),
    ...more,
  });
}

function only({ collections }: { collections: CensusCollection[] }): CensusCollection {
  return must(collections[0], 'there is one');
}

test('of replicas that are written to meanwhile the one of the highest version counts, and each says its own', async () => {
  const shards = new Shards();
  const id = shards.add(A, 'x', 5, { workers: BOTH });
  shards.hold(id, 6, WORKERS[1]);
  const { sums, shards: found } = only(await over(shards).survey(WANTED));
  assert.deepEqual([sums.points, sums.memory_bytes, sums.disk_bytes], [6, 200, 2_000]);
  assert.deepEqual(
    found[0]?.replicas.map(({ version }) => version),
    [5, 6],
  );
});

test('a replica that is behind is told of, and never counts', async () => {
  const shards = new Shards();
  const id = shards.add(A, 'x', 5, { workers: BOTH });
  const set = must(shards.sets.get(id), 'it was added');
  const replicas = set.replicas.map((replica, at) => {
    return at === 0 ? replica : { ...replica, state: 'behind' as const, syncedVersion: 3 };
  });
  shards.sets.set(id, { ...set, replicas, lastVersion: 5 });
  shards.hold(id, 99, WORKERS[1]);
  const { sums, shards: found } = only(await over(shards).survey(WANTED));
  assert.equal(sums.points, 5);
  assert.deepEqual(
    found[0]?.replicas.map(({ state, versions_behind }) => [state, versions_behind]),
    [
      ['in_sync', 0],
      ['behind', 2],
    ],
  );
});

test('a worker that is late costs its time once', async () => {
  const shards = new Shards();
  for (let n = 0; n < 100; n += 1) shards.add(A, `c${n}`, 1);
  const asked: WorkerId[] = [];
  const ask = async ({ workerId }: { workerId: WorkerId }) => {
    asked.push(workerId);
    throw new AppError('deadline_exceeded');
  };
  const survey = await over(shards, { ask }).survey(WANTED);
  assert.ok(asked.length <= 4, `${asked.length}: once by each that asks`);
  assert.equal(unknownIn(survey), 100);
});

test('a collection that is gone when its turn comes is not in it, nor when it is asked for again', async () => {
  const shards = new Shards();
  for (const name of ['a', 'b', 'c']) shards.add(A, name, 1);
  const [a, b] = shards.records.map(({ shards: [shard] }) => shard?.shardId as ShardId);
  const records = [...shards.records];
  shards.interfere = () => {
    shards.interfere = () => undefined;
    shards.records.splice(1, 1);
    shards.said.delete(`${a}/${WORKERS[0]}`);
  };
  const surveyor = over(shards, { collections: () => records });
  const survey = await surveyor.survey(WANTED);
  const names = () => survey.collections.map(({ collection }) => collection);
  assert.deepEqual([names(), unknownIn(survey)], [['a', 'c'], 1]);
  assert.ok(b !== undefined);
  shards.records.splice(0, 1);
  assert.equal(await surveyor.again(survey), true);
  assert.deepEqual([names(), unknownIn(survey)], [['c'], 0]);
  assert.equal(await surveyor.again(survey), false);
});

test('shards that have taken the place of others are asked in their place', async () => {
  const shards = new Shards();
  const old = shards.add(A, 'x', 5);
  const others = ['new1', 'new2'].map((name) => shards.add(A, name, 4));
  const [record, ...spare] = shards.records.splice(0);
  shards.records.push(must(record, 'it was added'));
  shards.sets.delete(old);
  const surveyor = over(shards);
  const survey = await surveyor.survey(WANTED);
  assert.equal(unknownIn(survey), 1);
  must(record, 'it was added').shards = spare.flatMap((one) => one.shards);
  assert.equal(await surveyor.again(survey), true);
  assert.deepEqual(
    only(survey).shards.map(({ shard_id }) => shard_id),
    others,
  );
  assert.deepEqual([only(survey).sums.points, unknownIn(survey)], [8, 0]);
});

test('one that is stopped ends soon, and what no code expected ends it, too', async () => {
  const shards = new Shards();
  for (let n = 0; n < 50; n += 1) shards.add(A, `c${n}`, 1);
  const stopped = over(shards);
  shards.interfere = () => stopped.stop();
  await assert.rejects(stopped.survey(WANTED), SurveyStopped);
  assert.ok(shards.asked <= 4, `${shards.asked}`);
  shards.interfere = () => {
    throw new TypeError('a defect');
  };
  await assert.rejects(over(shards).survey(WANTED), TypeError);
});
