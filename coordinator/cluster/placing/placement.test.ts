import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClientId, ShardId, WorkerId } from '../../../shared/base/ids.ts';
import { type Candidate, choosePlaces, type Load } from './placement.ts';

const A = 'cl_a' as ClientId;
const IDLE: Load = { replicas: 0, points: 0, bytes: 0, cpu: 0 };

function worker(name: string, more: Partial<Candidate> = {}): Candidate {
  return {
    workerId: name as WorkerId,
    zone: null,
    dedicatedTo: null,
    usable: true,
    load: IDLE,
    ...more,
  };
}

function placesOf(shard: string, count: number, candidates: Candidate[], holders?: Candidate[]) {
  const of = { shardId: shard as ShardId, clientId: A };
  return choosePlaces(of, count, candidates, holders).map(({ workerId }) => workerId as string);
}

test('replicas go to the least loaded workers, no two of a shard to one', () => {
  const busy = { replicas: 10, points: 1e6, bytes: 1e9, cpu: 1 };
  const workers = [worker('w1', { load: busy }), worker('w2'), worker('w3')];
  assert.deepEqual(placesOf('s', 2, workers).toSorted(), ['w2', 'w3']);
  assert.deepEqual(placesOf('s', 1, workers, [worker('w2')]), ['w3']);
  assert.equal(placesOf('s', 5, workers).length, 3, 'there are only three');
});

test('workers that do much count as loaded, however few shards they hold', () => {
  const few = { replicas: 2, points: 20, bytes: 2e3, cpu: 1.9 };
  const many = { replicas: 3, points: 30, bytes: 3e3, cpu: 0.05 };
  const workers = [worker('hot', { load: few }), worker('cool', { load: many })];
  assert.deepEqual(placesOf('s', 1, workers), ['cool']);
});

test('shards spread over equal workers, and the same shard always goes to the same', () => {
  const workers = ['w1', 'w2', 'w3', 'w4'].map((name) => worker(name));
  const counts = new Map<string, number>();
  for (let i = 0; i < 400; i += 1) {
    const [place = ''] = placesOf(`shard-${i}`, 1, workers);
    assert.deepEqual(placesOf(`shard-${i}`, 1, workers.toReversed()), [place]);
    counts.set(place, (counts.get(place) ?? 0) + 1);
  }
  for (const [name, count] of counts) assert.ok(count > 60 && count < 140, `${name}: ${count}`);
});

test('replicas stand in different zones while there are such', () => {
  const workers = [
    worker('a1', { zone: 'a' }),
    worker('a2', { zone: 'a' }),
    worker('b1', { zone: 'b', load: { replicas: 9, points: 9, bytes: 9, cpu: 9 } }),
  ];
  const [first, second, third] = placesOf('s', 3, workers);
  assert.equal(second, 'b1', 'another zone weighs more than load');
  assert.deepEqual([first, third].toSorted(), ['a1', 'a2']);
});

test('a dedicated client is on its own workers alone, and alone there', () => {
  const own = worker('own', { dedicatedTo: A });
  const others = [worker('w1'), worker('w2')];
  assert.deepEqual(placesOf('s', 3, [own, ...others]), ['own']);
  const away = worker('own', { dedicatedTo: A, usable: false });
  assert.deepEqual(placesOf('s', 1, [away, ...others]), [], 'not on shared ones while it is away');
  const foreign = worker('foreign', { dedicatedTo: 'cl_b' as ClientId });
  assert.deepEqual(placesOf('s', 3, [foreign, ...others]).toSorted(), ['w1', 'w2']);
});
