/**
 * The protocol of writes against workers that die, stop, fail and come back at random, and a
 * coordinator that forgets everything but what it has recorded. Workers here are maps, so that
 * thousands of histories are played; `test/chaos` plays some with the real processes.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { must } from '../../../shared/base/assert.ts';
import { systemClock } from '../../../shared/base/clock.ts';
import { Deadline } from '../../../shared/base/deadline.ts';
import type { ShardId, WorkerId } from '../../../shared/base/ids.ts';
import { SeededRandom } from '../../../shared/base/random.ts';
import { AppError } from '../../../shared/errors/app-error.ts';
import type { Written } from '../../../shared/protocol/schema.ts';
import { takeSeed } from '../../../test/harness/seed.ts';
import type { Leaving, ReplicaPlacement } from '../../store/replicas.ts';
import { isSame, type Replica } from './replica.ts';
import { ReplicaSet, type ReplicaSetDeps } from './replica-set.ts';

const SHARD = '00000000-0000-4000-8000-000000000001' as ShardId;
const TIMING = { lagMs: 5, startGraceMs: 5, settleTimeoutMs: 200 };
const HISTORIES = 150;
const STEPS = 60;
const IDS = 12;
const WRITERS = 4;

interface Row {
  version: number;
  value: number;
}

/** A row as a write found it; undefined: there was none. */
interface Image {
  version: number;
  id: number;
  row: Row | undefined;
}

/** One worker: what is on its disk, and whether it can be asked. */
class Disk {
  readonly rows = new Map<number, Row>();
  last = 0;
  #images: Image[] = [];
  #undoFloor = 0;
  ready = true;
  /** Counts lives: what was sent to an earlier one gets no answer. */
  life = 0;
  /** What is sent is done one after the other. */
  #line: Promise<unknown> = Promise.resolve();

  inOrder<T>(run: () => Promise<T>): Promise<T> {
    const result = this.#line.then(run);
    this.#line = result.catch(() => undefined);
    return result;
  }

  write({ id, value, version, undoable }: Body): Written {
    if (version <= this.last) throw new AppError('stale_write');
    const stable = undoable?.stable ?? version;
    this.#undoFloor = Math.max(this.#undoFloor, stable);
    this.#images = this.#images.filter((image) => image.version > stable);
    if (undoable !== undefined) this.#images.push({ version, id, row: this.rows.get(id) });
    this.rows.set(id, { version, value });
    this.last = version;
    return this.usage();
  }

  undo({ after, upTo }: Body): Written {
    if (this.last > upTo) throw new AppError('stale_write');
    if (this.last > after && this.#undoFloor > after) throw new AppError('conflict');
    for (;;) {
      const image = this.#images.at(-1);
      if (image === undefined || image.version <= after) break;
      this.#images.pop();
      if (image.row === undefined) this.rows.delete(image.id);
      else this.rows.set(image.id, image.row);
    }
    this.last = upTo;
    return this.usage();
  }

  level(rows: ReadonlyMap<number, Row>, last: number): void {
    this.rows.clear();
    for (const [id, row] of rows) this.rows.set(id, { ...row });
    this.last = Math.max(this.last, last);
    this.#undoFloor = this.last;
  }

  usage(): Written {
    let digest = 0;
    for (const [id, { version }] of this.rows) digest += (id + 1) * 7919 * (version + 13);
    return { version: this.last, points: this.rows.size, bytes: 0, digest };
  }
}

/** Of all messages. */
interface Body {
  id: number;
  value: number;
  version: number;
  undoable?: { stable: number };
  after: number;
  upTo: number;
}

class World {
  readonly random: SeededRandom;
  readonly disks = new Map<WorkerId, Disk>();
  /** What `control.db` has. */
  readonly placements: ReplicaPlacement[];
  set: ReplicaSet;
  readonly #needed: number;
  /** How often writes were undone. */
  undone = 0;
  /** Counts lives of the coordinator: an earlier one can do nothing any more. */
  #life = 0;

  constructor(random: SeededRandom, replicas: number, needed: number) {
    this.random = random;
    this.#needed = needed;
    this.placements = Array.from({ length: replicas }, (_, i) => {
      const workerId = `wk_${i}` as WorkerId;
      this.disks.set(workerId, new Disk());
      return { workerId, state: 'in_sync', syncedVersion: 0 };
    });
    this.set = this.#open();
  }

  disk(workerId: WorkerId): Disk {
    return must(this.disks.get(workerId), 'a worker has a disk');
  }

  /** The coordinator dies and starts again. */
  restart(): void {
    this.#life += 1;
    this.set = this.#open();
    for (const disk of this.disks.values()) disk.life += 1;
  }

  kill(workerId: WorkerId): void {
    const disk = this.disk(workerId);
    disk.ready = false;
    disk.life += 1;
    this.set.lost(workerId);
  }

  start(workerId: WorkerId): void {
    const disk = this.disk(workerId);
    if (disk.ready) return;
    disk.ready = true;
    this.set.came(workerId);
  }

  #open(): ReplicaSet {
    const shard = { shardId: SHARD, replicas: this.placements, writeConsistency: this.#needed };
    return new ReplicaSet(this.#deps(), shard);
  }

  #deps(): ReplicaSetDeps {
    const life = this.#life;
    const isReady = (workerId: WorkerId) => this.#life === life && this.disk(workerId).ready;
    const request = async (route: { workerId: WorkerId }, name: string, body: Body) => {
      if (this.#life !== life) throw new AppError('shutting_down');
      const disk = this.disk(route.workerId);
      const sentIn = disk.life;
      const answer = await disk.inOrder(() => this.#serve(disk, sentIn, name, body));
      // Writes are done in order, and answered in any.
      await this.#pause();
      return answer;
    };
    const change = (workerId: WorkerId, to: Partial<ReplicaPlacement>) => {
      if (this.#life !== life) throw new AppError('shutting_down');
      const placement = this.placements.find((one) => one.workerId === workerId);
      Object.assign(must(placement, 'it is placed'), to);
    };
    return {
      link: { isReady, request: request as unknown as ReplicaSetDeps['link']['request'] },
      store: {
        leave: (_, leaving: readonly Leaving[]) => {
          for (const { workerId, syncedVersion } of leaving) {
            change(workerId, { state: 'behind', syncedVersion });
          }
          assert.ok(this.placements.some(({ state }) => state === 'in_sync'));
        },
        join: (_, workerId) => change(workerId, { state: 'in_sync', syncedVersion: 0 }),
        progress: () => undefined,
        add: () => undefined,
        remove: () => undefined,
      },
      clock: systemClock,
      log: {
        event: (event) => {
          if (event === 'writes_undone') this.undone += 1;
        },
      },
      timing: TIMING,
      graceEndMs: systemClock.monotonicMs() + TIMING.startGraceMs,
      fellBehind: (set, replica) => void this.#level(set, replica),
    };
  }

  async #serve(disk: Disk, life: number, name: string, body: Body) {
    const isWrite = name !== 'shard-usage';
    const isLost = () => disk.life !== life || !disk.ready;
    const lost = () => new AppError(isWrite ? 'write_outcome_unknown' : 'unavailable');
    await this.#pause();
    // Lost on the way there; or after it was done.
    if (isLost() && this.random.next() < 0.5) throw lost();
    if (isWrite && this.random.next() < 0.02) throw new AppError('insufficient_storage');
    const said = act(disk, name, body);
    await this.#pause();
    if (isLost()) throw lost();
    return { body: said, vectors: new Float32Array(0) };
  }

  /** Copies all rows, once the target is there. */
  async #level(set: ReplicaSet, replica: Replica): Promise<void> {
    const target = this.disk(replica.workerId);
    for (let tries = 0; tries < 200 && replica.state === 'behind'; tries += 1) {
      await this.#pause();
      if (!target.ready || this.set !== set) continue;
      await set
        .exclusive(50, async () => {
          const [source] = set.readers();
          if (source === undefined) return;
          const from = this.disk(source);
          const rows = await from.inOrder(async () => new Map(from.rows));
          await target.inOrder(async () => {
            if (this.set !== set || !from.ready || !target.ready) return;
            target.level(rows, from.last);
          });
          const said = await Promise.all(
            [from, target].map((disk) => disk.inOrder(async () => disk.usage())),
          );
          const current = this.set === set && from.ready && target.ready;
          if (current && isSame(must(said[0], 'two'), must(said[1], 'two')))
            set.join(replica, source);
        })
        .catch(() => undefined);
    }
  }

  async #pause(): Promise<void> {
    const turns = this.random.below(4);
    for (let i = 0; i < turns; i += 1) await new Promise(setImmediate);
  }
}

function act(disk: Disk, name: string, body: Body): Written {
  if (name === 'shard-usage') return disk.usage();
  return name === 'shard-undo' ? disk.undo(body) : disk.write(body);
}

/** Errors after which nothing is changed. Of a coordinator that has died nobody hears anything. */
const NOTHING_CHANGED = new Set(['unavailable', 'insufficient_storage', 'stale_write']);

interface Outcomes {
  /** What was acknowledged last, by id. */
  acknowledged: Map<number, number>;
  /** Values of which their writers heard that nothing was changed. */
  refused: Set<number>;
}

/**
 * Each writer has ids of its own. A write without an outcome is repeated until it has one; one of which
 * nothing was done is given up, mostly.
 */
async function write(world: World, said: Outcomes, writer: number, isOver: () => boolean) {
  for (let n = 1; !isOver(); n += 1) {
    const id = writer + WRITERS * world.random.below(IDS / WRITERS);
    const value = n * WRITERS + writer;
    let isDoubtful = false;
    for (;;) {
      const { set } = world;
      try {
        const body = { id, value } as never;
        await set.write('points-delete', body, undefined, Deadline.after(systemClock, 100));
        said.acknowledged.set(id, value);
        break;
      } catch (error) {
        assert.ok(error instanceof AppError, String(error));
        isDoubtful ||= set !== world.set || !NOTHING_CHANGED.has(error.code);
        await new Promise(setImmediate);
        if (!isDoubtful && world.random.next() < 0.7) {
          said.refused.add(value);
          break;
        }
        if (isOver()) {
          if (isDoubtful) said.acknowledged.delete(id);
          return;
        }
      }
    }
  }
}

async function play(random: SeededRandom, needed: number) {
  const world = new World(random, 2 + random.below(2), needed);
  const said: Outcomes = { acknowledged: new Map(), refused: new Set() };
  let over = false;
  const writers = Array.from({ length: WRITERS }, (_, i) => write(world, said, i, () => over));
  const workers = [...world.disks.keys()];
  for (let step = 0; step < STEPS; step += 1) {
    for (let i = random.below(12); i > 0; i -= 1) await new Promise(setImmediate);
    const workerId = random.pick(workers);
    if (random.next() < 0.03) world.restart();
    else if (random.next() < 0.3) world.kill(workerId);
    else world.start(workerId);
  }
  for (const workerId of workers) world.start(workerId);
  over = true;
  await Promise.all(writers);
  await world.set.readable(Deadline.after(systemClock, 5_000));
  return { world, ...said };
}

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
