/** Which replica is asked, who is asked when that one does not answer, and what of it a caller notices. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import type { ShardId, WorkerId } from '../../shared/base/ids.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { ErrorCode } from '../../shared/errors/codes.ts';
import { HEDGE_MS, type RoutedSet, Router, type RouterDeps } from './router.ts';

const SHARD = { shardId: '00000000-0000-4000-8000-00000000000a' as ShardId };
const [W1, W2, W3] = ['wk_1', 'wk_2', 'wk_3'] as [WorkerId, WorkerId, WorkerId];
const QUESTION = { exact: true };
/** What a router may hedge at once, after a quiet time. */
const HEDGES = 64;

interface Asked {
  workerId: WorkerId;
  answer: PromiseWithResolvers<unknown>;
  cancelled: boolean;
}

/** A router over workers that answer when the test says so. */
class Rig {
  readonly clock = new ManualClock();
  readonly asked: Asked[] = [];
  readonly doubtful = new Set<WorkerId>();
  readonly lost: WorkerId[] = [];
  readonly busy = new Map<WorkerId, number>();
  readers: WorkerId[];
  sole: WorkerId | undefined;
  readonly #router: Router;

  constructor(readers: WorkerId[]) {
    this.readers = readers;
    const set: Partial<RoutedSet> = {
      readers: () => this.readers,
      readable: async () => {
        if (this.readers.length === 0) throw new AppError('unavailable');
      },
    };
    Object.defineProperty(set, 'sole', { get: () => this.sole });
    const begin = ({ workerId }: { workerId: WorkerId }) => {
      const asked = { workerId, answer: Promise.withResolvers<unknown>(), cancelled: false };
      this.asked.push(asked);
      const cancel = () => {
        asked.cancelled = true;
      };
      return { answer: asked.answer.promise, cancel };
    };
    const link = {
      begin,
      request: (route: { workerId: WorkerId }) => begin(route).answer,
      inFlight: (workerId: WorkerId) => this.busy.get(workerId) ?? 0,
    } as unknown as RouterDeps['link'];
    const health = {
      isDoubtful: (workerId: WorkerId) => this.doubtful.has(workerId),
      answered: () => undefined,
      lostRace: (workerId: WorkerId) => void this.lost.push(workerId),
    };
    const setOf = () => set as RoutedSet;
    this.#router = new Router({ link, setOf, health, clock: this.clock, hedgeMs: HEDGE_MS });
  }

  read(): Promise<unknown> {
    const deadline = Deadline.after(this.clock, 10_000);
    return this.#router.read(SHARD, 'points-count', QUESTION, undefined, deadline);
  }

  at(place: number): Asked {
    const asked = this.asked[place];
    assert.ok(asked !== undefined, `request ${place} was sent`);
    return asked;
  }

  answer(place: number, value: unknown): void {
    this.at(place).answer.resolve(value);
  }

  fail(place: number, code: ErrorCode): void {
    this.at(place).answer.reject(new AppError(code));
  }

  async later(ms = HEDGE_MS): Promise<void> {
    await settled();
    this.clock.advance(ms);
    await settled();
  }
}

/** Whatever can happen without the clock has happened. */
async function settled(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await Promise.resolve();
}

test('the least busy replica is asked, those in doubt last', async () => {
  const rig = new Rig([W1, W2, W3]);
  rig.busy.set(W1, 3).set(W2, 1).set(W3, 2);
  void rig.read();
  assert.equal(rig.at(0).workerId, W2);
  rig.doubtful.add(W2);
  void rig.read();
  assert.equal(rig.at(1).workerId, W3);
  for (const workerId of rig.readers) rig.doubtful.add(workerId);
  void rig.read();
  assert.equal(rig.at(2).workerId, W2, 'all are in doubt');
});

for (const code of ['unavailable', 'shutting_down', 'internal', 'shard_damaged'] as const) {
  test(`another replica answers where one says ${code}`, async () => {
    const rig = new Rig([W1, W2]);
    const answer = rig.read();
    rig.fail(0, code);
    await settled();
    assert.notEqual(rig.at(1).workerId, rig.at(0).workerId);
    rig.answer(1, 'two');
    assert.equal(await answer, 'two');
  });
}

test('what is wrong with the question is said by the first', async () => {
  const rig = new Rig([W1, W2]);
  const answer = rig.read();
  rig.fail(0, 'invalid_argument');
  await assert.rejects(answer, { code: 'invalid_argument' });
  assert.equal(rig.asked.length, 1);
});

test('when all are overloaded the caller hears it at once', async () => {
  const rig = new Rig([W1, W2]);
  const answer = rig.read();
  rig.fail(0, 'overloaded');
  await settled();
  rig.fail(1, 'overloaded');
  await assert.rejects(answer, { code: 'overloaded' });
});

test('a late answer is asked for elsewhere, and whoever is first is heard', async () => {
  const rig = new Rig([W1, W2]);
  const answer = rig.read();
  await rig.later();
  assert.equal(rig.asked.length, 2);
  rig.answer(1, 'second');
  assert.equal(await answer, 'second');
  assert.deepEqual(rig.lost, [rig.at(0).workerId]);
  assert.ok(rig.at(0).cancelled);
});

test('a hedge that fails leaves the first its time', async () => {
  const rig = new Rig([W1, W2]);
  const answer = rig.read();
  await rig.later();
  rig.fail(1, 'unavailable');
  await settled();
  rig.answer(0, 'first');
  assert.equal(await answer, 'first');
});

test('hedges are bounded, but not away from a worker that is in doubt', async () => {
  const rig = new Rig([W1, W2]);
  rig.busy.set(W2, 1);
  for (let i = 0; i < 2 * HEDGES; i += 1) void rig.read();
  await rig.later();
  const hedged = rig.asked.length - 2 * HEDGES;
  assert.ok(hedged >= HEDGES && hedged < 1.2 * HEDGES, `${hedged} hedges`);
  rig.doubtful.add(W1);
  await rig.later();
  assert.equal(rig.asked.length, 4 * HEDGES, 'all others go to the other worker');
});

test('a replica that comes back while another hangs is asked then', async () => {
  const rig = new Rig([W1]);
  const answer = rig.read();
  await rig.later();
  await rig.later();
  assert.equal(rig.asked.length, 1);
  rig.readers = [W1, W2];
  await rig.later();
  rig.answer(1, 'two');
  assert.equal(await answer, 'two');
});

test('the only one in sync is waited for', async () => {
  const rig = new Rig([W1]);
  rig.sole = W1;
  const answer = rig.read();
  await rig.later(5_000);
  rig.answer(0, 'one');
  assert.equal(await answer, 'one');
  assert.equal(rig.asked.length, 1);
});

test('without anybody to ask the caller is told, and not before it was waited for', async () => {
  const rig = new Rig([W1, W2]);
  const answer = rig.read();
  rig.fail(0, 'unavailable');
  await settled();
  rig.readers = [];
  rig.fail(1, 'unavailable');
  await assert.rejects(answer, { code: 'unavailable' });
});
