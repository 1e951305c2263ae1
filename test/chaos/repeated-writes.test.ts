/**
 * Answers that are lost. Many writes under keys are on their way when a process dies, so that some die
 * before their commit, some between commit and answer. Each is then repeated until it is answered,
 * overwritten by another, and repeated again: had it taken effect twice, it would be back.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { SeededRandom } from '../../shared/base/random.ts';
import { type KeyedWrite, numbersIn, tryOnce, untilAnswered } from '../harness/keyed-writes.ts';
import { byProfile } from '../harness/profile.ts';
import { takeSeed } from '../harness/seed.ts';
import { type Service, startService } from '../harness/service.ts';

const SHAPES = {
  'one shard, one worker': { workers: 1, spread: {} },
  'three shards, two replicas': {
    workers: 3,
    spread: { shard_number: 3, replication_factor: 2 },
  },
  'two replicas, both needed': {
    workers: 2,
    spread: { replication_factor: 2, write_consistency_factor: 2 },
  },
} as const;
const KILLS = byProfile(2, 100);
const IDS = Array.from({ length: 40 }, (_, i) => i + 1);
const POINTS = '/collections/c/points';
/** Writes begin within that time, and in the midst of it a process dies. */
const ROUND_MS = 80;
/** A coordinator that is stopped for so long before it dies hears of no commit that was made then. */
const DEAF_MS = 50;

const set = (id: number, n: number): KeyedWrite => {
  const body = { payload: { n }, points: [id] };
  return { method: 'POST', path: `${POINTS}/payload`, body };
};

async function start(t: Parameters<typeof startService>[0], shape: keyof typeof SHAPES) {
  const { workers, spread } = SHAPES[shape];
  const service = await startService(t, { workers });
  const vectors = { size: 4, distance: 'Dot' };
  const points = IDS.map((id) => ({ id, vector: [id, 1, 1, 1], payload: { n: 0 } }));
  const create = { method: 'PUT', path: '/collections/c', body: { vectors, ...spread } };
  for (const write of [create, { method: 'PUT', path: POINTS, body: { points } }]) {
    assert.equal((await untilAnswered(service, write)).status, 200);
  }
  return service;
}

/** How many of the writes had no answer, and how many of those were done. */
async function round(service: Service, n: number, random: SeededRandom, name: string) {
  const writes = IDS.map((id) => ({ ...set(id, n), key: `round-${n}-${id}` }));
  const [early] = await Promise.all([
    Promise.all(
      writes.map(async (write) => {
        await sleep(random.below(ROUND_MS));
        return tryOnce(service, write);
      }),
    ),
    kill(service, name, random),
  ]);
  const before = await numbersIn(service, POINTS, IDS);
  const lost = IDS.filter((_, i) => early[i]?.status !== 200);
  const answers = await Promise.all(writes.map((write) => untilAnswered(service, write)));
  for (const [i, answer] of answers.entries()) {
    assert.equal(answer.status, 200, JSON.stringify(answer));
    if (early[i]?.status === 200) assert.deepEqual(answer, early[i]);
  }
  const other = -n;
  await Promise.all(IDS.map((id) => untilAnswered(service, set(id, other))));
  const again = await Promise.all(writes.map((write) => untilAnswered(service, write)));
  assert.deepEqual(again, answers);
  const after = await numbersIn(service, POINTS, IDS);
  for (const id of IDS) assert.equal(after.get(id), other, `round ${n}, id ${id}`);
  return { lost: lost.length, done: lost.filter((id) => before.get(id) === n).length };
}

async function kill(service: Service, name: string, random: SeededRandom): Promise<void> {
  await sleep(ROUND_MS / 4 + random.below(ROUND_MS / 2));
  if (name === 'coordinator') {
    process.kill(service.pidOf(name), 'SIGSTOP');
    await sleep(DEAF_MS);
  }
  await service.killAndWait(name);
}

for (const shape of Object.keys(SHAPES) as (keyof typeof SHAPES)[]) {
  test(`a lost answer comes again, and the write is done once: ${shape}`, async (t) => {
    const random = new SeededRandom(takeSeed(t, 20_261_131));
    const service = await start(t, shape);
    const sum = { lost: 0, done: 0 };
    for (let n = 1; n <= KILLS; n += 1) {
      const name = n % 2 === 0 ? 'coordinator' : random.pick(service.workerNames);
      const { lost, done } = await round(service, n, random, name);
      sum.lost += lost;
      sum.done += done;
    }
    t.diagnostic(`${sum.lost} answers were lost, of writes of which ${sum.done} were done`);
  });
}
