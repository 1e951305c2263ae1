/** A day has one census, whatever dies and however the clock is set. */
import assert from 'node:assert/strict';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { must } from '../../shared/base/assert.ts';
import { ManualClock } from '../../shared/base/clock.ts';
import type { ClientId } from '../../shared/base/ids.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import {
  CensusWorld,
  DAY,
  NOON,
  WORKERS,
  type WorldOptions,
} from '../../test/harness/census-world.ts';
import type { CensusRecord, StorageRow } from '../ledger/entries.ts';
import { CensusArchive } from './archive.ts';
import { dayOf, firstHourOf } from './lines.ts';

const A = 'cl_aaaaaaaaaaaaaaaa' as ClientId;
const B = 'cl_bbbbbbbbbbbbbbbb' as ClientId;
const HOUR_MS = 3_600_000;
const [W1, W2] = WORKERS;

/** Stands still until it is moved; `now` can be set apart from the time that passes. */
class SetClock extends ManualClock {
  offsetMs = 0;

  override now(): number {
    return super.now() + this.offsetMs;
  }
}

function start(t: TestContext, options: WorldOptions = {}) {
  const clock = new SetClock(NOON);
  const world = new CensusWorld(t, { clock, ...options });
  for (const clientId of [A, B]) world.store.clients.create({ clientId, name: clientId });
  return { clock, world };
}

/** Time goes on in small steps until it is so. */
async function until(
  clock: ManualClock,
  isSo: () => boolean | Promise<boolean>,
  stepMs = 1_000,
): Promise<void> {
  for (let step = 0; !(await isSo()); step += 1) {
    assert.ok(step < 5_000, 'it comes to be so');
    await new Promise((resolve) => setTimeout(resolve, 1));
    clock.advance(stepMs);
  }
}

const taken = (world: CensusWorld, census: string) => world.ledger.ask('census', census);
const isTaken = async (world: CensusWorld, census: string) => {
  return (await taken(world, census)) !== undefined;
};

function storage(world: CensusWorld, clientId: ClientId, day = DAY): Promise<StorageRow[]> {
  const about = {
    clientId,
    mode: 'live',
    namespaces: null,
    hour: firstHourOf(day),
    limit: 99,
  } as const;
  return world.ledger.ask('census-storage', about);
}

async function files(world: CensusWorld): Promise<string[]> {
  return readdirSync(world.folder).toSorted();
}

test('a start finds that today has none and takes it, once; midnight brings the next one', async (t) => {
  const { clock, world } = start(t);
  const { shards } = world;
  shards.add(A, 'x', 10, { workers: [W1, W2] as typeof WORKERS });
  shards.add(A, 'y', 5, { mode: 'test' });
  shards.add(B, 'x', 7);
  world.census.start();
  await until(clock, () => isTaken(world, DAY));
  const { startedAt, finishedAt, sha256, ...record } = must(await taken(world, DAY), 'it is there');
  const sums = { points: 22, bytes: 264, memoryBytes: 400, diskBytes: 4_000 };
  const counts = { clients: 2, collections: 3, shards: 3, unknownShards: 0 };
  const kind = { kind: 'scheduled', state: 'complete', file: `${DAY}.jsonl.zst` } as const;
  assert.deepEqual(record, { census: DAY, day: DAY, ...kind, ...counts, ...sums });
  assert.equal(await world.archive().check(record.file), sha256);
  const row = { clientId: A, mode: 'live', namespace: 'default', collection: 'x' };
  assert.deepEqual(await storage(world, A), [{ ...row, points: 10, bytes: 120, unknownShards: 0 }]);
  const { asked } = shards;
  await world.restart();
  await until(clock, () => clock.now() > NOON + 11.9 * HOUR_MS, 300_000);
  assert.equal(shards.asked, asked, 'a second start finds it');
  await until(clock, () => isTaken(world, '2026-11-28'), 5_000);
  const next = must(await taken(world, '2026-11-28'), 'it is there');
  assert.equal(next.startedAt - NOON - 12 * HOUR_MS < 60_000, true, 'when the day begins');
  assert.deepEqual(await files(world), [`${DAY}.jsonl.zst`, '2026-11-28.jsonl.zst']);
  assert.equal(startedAt <= finishedAt, true);
});

test('a clock that is set back or forward gives no day a second one, and takes none away', async (t) => {
  const { clock, world } = start(t);
  world.shards.add(A, 'x', 10);
  clock.advance(11 * HOUR_MS + HOUR_MS / 2);
  world.census.start();
  await until(clock, () => isTaken(world, DAY));
  clock.offsetMs = HOUR_MS;
  await until(clock, () => isTaken(world, '2026-11-28'));
  clock.offsetMs = 0;
  assert.equal(dayOf(clock.now()), DAY, 'it is the day before once more');
  await until(clock, () => dayOf(clock.now()) === '2026-11-28', 60_000);
  clock.offsetMs = -HOUR_MS;
  await until(clock, () => dayOf(clock.now()) === '2026-11-28', 60_000);
  await world.end();
  assert.equal(world.count('census_taken'), 2);
  assert.deepEqual(await files(world), [`${DAY}.jsonl.zst`, '2026-11-28.jsonl.zst']);
  assert.equal(world.count('census_failed'), 0);
});

test('a shard whose worker is away is unknown with its last figures, and known when it comes', async (t) => {
  const { clock, world } = start(t);
  const { shards } = world;
  const x = shards.add(A, 'x', 10);
  const never = shards.add(A, 'never', 3, { workers: [W2] as typeof WORKERS });
  shards.away.add(must(W2, 'it is one'));
  world.census.start();
  await until(clock, () => world.count('census_waits') > 0);
  assert.equal(await isTaken(world, DAY), false, 'it waits');
  shards.away.delete(must(W2, 'it is one'));
  world.census.workerCame();
  await until(clock, () => isTaken(world, DAY));
  assert.equal((await taken(world, DAY))?.state, 'complete');
  await until(clock, async () => (await files(world)).length === 1);
  assert.deepEqual(await files(world), [`${DAY}.jsonl.zst`], 'the draft is gone');

  for (const workerId of WORKERS) shards.away.add(workerId);
  shards.hold(x, 11);
  shards.said.delete(`${never}/${W2}`);
  const lost = shards.add(A, 'lost', 5);
  await until(clock, () => isTaken(world, '2026-11-28'), 600_000);
  const record = must(await taken(world, '2026-11-28'), 'it is final when its day is over');
  assert.deepEqual([record.state, record.unknownShards, record.points], ['incomplete', 3, 13]);
  assert.equal(dayOf(record.finishedAt), '2026-11-29');
  const rows = await storage(world, A, '2026-11-28');
  const told = rows.map(({ collection, points, unknownShards }) => [
    collection,
    points,
    unknownShards,
  ]);
  assert.deepEqual(told, [
    ['lost', 0, 1],
    ['never', 3, 1],
    ['x', 10, 1],
  ]);
  const page = { census: '2026-11-28', after: 0, limit: 9 };
  const { collections } = await world.admin.ofClient(A, page);
  const sources = collections.map(({ shards: [shard] }) => [
    shard?.source,
    shard?.at?.slice(0, 10),
  ]);
  assert.deepEqual(sources, [
    ['none', undefined],
    ['census', DAY],
    ['census', DAY],
  ]);
  assert.equal(world.notices.at(-1)?.data.reason, '3 of 3 shards did not answer');
  assert.ok(shards.sets.has(lost));
});

test('what was last written counts for a shard that no replica in sync answers for', async (t) => {
  const { clock, world } = start(t);
  const { shards } = world;
  const x = shards.add(A, 'x', 4);
  const [replica] = must(shards.sets.get(x), 'it was added').replicas;
  const behind = { ...must(replica, 'it has one'), state: 'behind' as const, syncedVersion: 4 };
  shards.sets.set(x, { replicas: [behind], lastVersion: 9, held: { points: 8, bytes: 96 } });
  world.census.start();
  await until(clock, () => world.count('census_waits') > 0);
  await world.end();
  clock.advance(24 * HOUR_MS);
  await world.restart();
  await until(clock, () => isTaken(world, DAY));
  const { collections } = await world.admin.ofClient(A, { census: DAY, after: 0, limit: 9 });
  const [shard] = collections[0]?.shards ?? [];
  assert.deepEqual(
    [shard?.source, shard?.version, shard?.points, shard?.replicas[0]?.versions_behind],
    ['coordinator', 9, 8, 5],
  );
});

test('a day that ends while the coordinator is down has its census from its draft', async (t) => {
  const { clock, world } = start(t);
  world.shards.add(A, 'x', 10);
  world.shards.add(B, 'y', 3, { workers: [W2] as typeof WORKERS });
  world.shards.away.add(must(W2, 'it is one'));
  world.census.start();
  await until(clock, () => world.count('census_waits') > 0);
  await world.end();
  clock.advance(48 * HOUR_MS);
  world.shards.away.clear();
  await world.restart();
  await until(clock, () => isTaken(world, '2026-11-29'));
  const record = must(await taken(world, DAY), 'it is there');
  assert.deepEqual([record.state, record.points, record.unknownShards], ['incomplete', 10, 1]);
  assert.equal(await isTaken(world, '2026-11-28'), false, 'a day that was missed is not invented');
  assert.deepEqual(await files(world), [`${DAY}.jsonl.zst`, '2026-11-29.jsonl.zst']);
});

class Died extends Error {}

/** Parts that end at one of their calls, and from then on at each: nothing is written any more. */
function dying(world: CensusWorld, calls: number) {
  let left = calls;
  const mortal = <T extends object>(part: T): T => {
    return new Proxy(part, {
      get(target, name) {
        const value = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        return (...args: unknown[]) => {
          left -= 1;
          if (left < 0) throw new Died();
          return value.apply(target, args);
        };
      },
    });
  };
  const { archive, ledger } = { archive: mortal(world.archive()), ledger: mortal(world.ledger) };
  return { archive, ledger, isOver: () => left < 0 };
}

test('a process that dies at any step leaves one census of the day, or none that counts', async (t) => {
  let steps = 0;
  for (let isWhole = false; !isWhole; steps += 1) {
    const { clock, world } = start(t);
    const [x] = [world.shards.add(A, 'x', 10), world.shards.add(B, 'y', 3)];
    const { isOver, ...parts } = dying(world, steps);
    await world.restart(parts);
    await until(clock, async () => isOver() || (await isTaken(world, DAY)));
    await world.end();
    isWhole = !isOver();
    mkdirSync(world.folder, { recursive: true });
    writeFileSync(join(world.folder, `${DAY}.jsonl.zst.tmp`), 'half a file', { flag: 'a' });
    const archived = readdirSync(world.folder).includes(`${DAY}.jsonl.zst`);
    world.shards.hold(x, 11);
    await world.restart();
    await until(clock, () => isTaken(world, DAY));
    await until(clock, async () => (await files(world)).length === 1);
    await world.end();
    const record = must(await taken(world, DAY), 'it is there') as CensusRecord;
    assert.equal(record.points, archived ? 13 : 14, `what was archived counts, step ${steps}`);
    const [row, ...others] = await storage(world, A);
    assert.deepEqual([row?.points, others.length], [archived ? 10 : 11, 0]);
    assert.equal(await world.archive().check(record.file), record.sha256);
    assert.deepEqual(await files(world), [`${DAY}.jsonl.zst`]);
    const list = await world.ledger.ask('census-list', { before: null, limit: 9 });
    assert.equal(list.length, 1);
  }
  assert.ok(steps > 8, `${steps} steps`);
  t.diagnostic(`died at ${steps} steps`);
});

test('what fails once is told and done a minute later; what was archived is not asked for again', async (t) => {
  const { clock, world } = start(t);
  world.shards.add(A, 'x', 10);
  const archive = world.archive();
  const write = archive.write.bind(archive);
  archive.write = async () => {
    archive.write = write;
    throw Object.assign(new Error('no space'), { code: 'ENOSPC' });
  };
  let refused = 1;
  const ledger = {
    ask: world.ledger.ask.bind(world.ledger),
    append: (...args: Parameters<typeof world.ledger.append>) => {
      refused -= 1;
      return refused === 0
        ? Promise.reject(new AppError('overloaded'))
        : world.ledger.append(...args);
    },
  };
  await world.restart({ archive, ledger });
  await until(clock, () => world.count('census_failed') === 1);
  assert.deepEqual(world.notices.at(-1)?.data, { day: DAY, reason: 'ENOSPC' });
  await until(clock, () => world.count('census_failed') === 2);
  assert.equal(world.notices.at(-1)?.data.reason, 'overloaded');
  const { asked } = world.shards;
  await until(clock, () => isTaken(world, DAY));
  assert.equal(world.shards.asked, asked);
  assert.equal(asked, 2);
  await until(clock, () => world.count('census_taken') === 1);
});

test('an archive that was damaged before it was entered is none, and operators are told', async (t) => {
  const { clock, world } = start(t);
  world.shards.add(A, 'x', 10);
  await world.archive().start();
  writeFileSync(join(world.folder, `${DAY}.jsonl.zst`), 'damaged');
  world.census.start();
  await until(clock, () => isTaken(world, DAY));
  assert.deepEqual(
    world.notices.map(({ type, data }) => [type, data.day]),
    [['census.failed', DAY]],
  );
  assert.equal(await world.archive().check(`${DAY}.jsonl.zst`), (await taken(world, DAY))?.sha256);
});

test('one on demand is taken whatever dies, is no part of bills, and is the only one at a time', async (t) => {
  const { clock, world } = start(t);
  const origin = { actor: 'operator', requestId: 'req' };
  world.shards.add(A, 'x', 10);
  const { census } = world.admin.take(origin);
  assert.equal(census, `${DAY}.01`);
  assert.throws(() => world.admin.take(origin), /2026-11-27.01 is under way/);
  assert.equal((await world.admin.show(census)).state, 'under_way');
  const { isOver, ...parts } = dying(world, 12);
  await world.restart(parts);
  await until(clock, isOver);
  await world.restart();
  await until(clock, () => isTaken(world, census));
  await until(clock, () => world.store.censusRequests.waiting().length === 0);
  assert.equal((await storage(world, A)).length, 1, 'that of the day');
  const second = world.admin.take(origin).census;
  await until(clock, () => isTaken(world, second));
  assert.equal((await world.admin.list({ limit: 9 })).items.length, 3);
  assert.equal((await world.ledger.ask('census-last', undefined))?.census, DAY);
});

test('archives of the days that are kept stay, the records of all do', async (t) => {
  const { clock, world } = start(t, { keepDays: 2 });
  world.shards.add(A, 'x', 10);
  world.admin.take({ actor: 'operator', requestId: 'req' });
  world.census.start();
  for (const day of [DAY, '2026-11-28', '2026-11-29']) {
    await until(clock, () => isTaken(world, day), 300_000);
    clock.advance(20 * HOUR_MS);
  }
  await until(clock, () => isTaken(world, '2026-11-30'), 300_000);
  await world.end();
  assert.deepEqual(await files(world), ['2026-11-29.jsonl.zst', '2026-11-30.jsonl.zst']);
  assert.equal((await world.admin.list({ limit: 9 })).items.length, 5);
  await assert.rejects(world.admin.archive(DAY), /not kept any more/);
});

test('2,000 collections are asked a few at a time, and others have their turn meanwhile', async (t) => {
  const { clock, world } = start(t);
  const { shards } = world;
  for (let n = 0; n < 2_000; n += 1) shards.add(n % 2 === 0 ? A : B, `c${n}`, n);
  let turns = 0;
  let lastAsked = 0;
  let mostInTurn = 0;
  const watch = () => {
    turns += 1;
    mostInTurn = Math.max(mostInTurn, shards.asked - lastAsked);
    lastAsked = shards.asked;
    if (lastAsked < 2_000) setImmediate(watch);
  };
  watch();
  const { heapUsed } = process.memoryUsage();
  world.census.start();
  await until(clock, () => isTaken(world, DAY));
  assert.ok(shards.atOnceMax <= 4, `${shards.atOnceMax} at once`);
  assert.ok(mostInTurn <= 64, `${mostInTurn} in one turn`);
  const record = must(await taken(world, DAY), 'it is there');
  assert.deepEqual([record.collections, record.points], [2_000, (2_000 * 1_999) / 2]);
  const grown = Math.round((process.memoryUsage().heapUsed - heapUsed) / 2 ** 20);
  t.diagnostic(`${turns} turns, ${mostInTurn} asks in one; ${grown} MiB more`);
  const [first] = (await world.archive().files()).map((file) => file);
  assert.equal(first, `${DAY}.jsonl.zst`);
  const page = await world.admin.ofClient(B, { census: DAY, after: 998, limit: 1 });
  assert.deepEqual([page.collections.length, page.next], [1, 999]);
  const last = await world.admin.ofClient(B, { census: DAY, after: 999, limit: 1 });
  assert.deepEqual([last.collections.length, last.next], [1, null]);
});

test('a draft that is damaged is none: the census is taken anew', async (t) => {
  const { clock, world } = start(t);
  world.shards.add(A, 'x', 10);
  await world.archive().start();
  writeFileSync(join(world.folder, CensusArchive.draftOf(DAY)), 'damaged');
  world.census.start();
  await until(clock, () => isTaken(world, DAY));
  assert.equal((await taken(world, DAY))?.points, 10);
  await until(clock, async () => (await files(world)).length === 1);
});
