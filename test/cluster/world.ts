/**
 * One shard's replicas at workers that die, stop, fail and come back at random, and a coordinator that
 * forgets everything but what it has recorded. Workers here are maps, so that thousands of histories
 * can be played; `test/chaos` plays some with the real processes.
 */
import assert from 'node:assert/strict';
import { PageLink } from '../../coordinator/cluster/copying/page-link.ts';
import { Metering } from '../../coordinator/cluster/metering.ts';
import { isSame, type Replica } from '../../coordinator/cluster/replicas/replica.ts';
import { ReplicaSet, type ReplicaSetDeps } from '../../coordinator/cluster/replicas/replica-set.ts';
import type { LedgerEntry } from '../../coordinator/ledger/entries.ts';
import type { Leaving, ReplicaPlacement } from '../../coordinator/store/replicas.ts';
import { must } from '../../shared/base/assert.ts';
import { systemClock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import type { ClientId, ShardId, WorkerId } from '../../shared/base/ids.ts';
import type { SeededRandom } from '../../shared/base/random.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Log } from '../../shared/log/log.ts';
import type { Reply } from '../../shared/protocol/messages.ts';
import type { Written } from '../../shared/protocol/schema.ts';

const SHARD = '00000000-0000-4000-8000-000000000001' as ShardId;
const TIMING = { lagMs: 5, startGraceMs: 5, settleTimeoutMs: 200, carryAfterMs: 1_000 };
const STEPS = 60;
const IDS = 12;
/** Of one answer. */
const NOTES_MAX = 3;
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
  /** Versions of the writes that made it what it is. */
  history = new Set<number>();
  /** What is noted for the ledger, by version. */
  #notes = new Set<number>();
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

  write({ id, value, version, undoable, metered }: Body): Written {
    if (version <= this.last) throw new AppError('stale_write');
    const stable = undoable?.stable ?? version;
    this.#undoFloor = Math.max(this.#undoFloor, stable);
    this.#images = this.#images.filter((image) => image.version > stable);
    if (undoable !== undefined) this.#images.push({ version, id, row: this.rows.get(id) });
    this.rows.set(id, { version, value });
    this.last = version;
    this.history.add(version);
    this.#notes.add(version);
    for (const note of this.#notes) if (note <= metered) this.#notes.delete(note);
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
    for (const version of this.history) {
      if (version > after) this.history.delete(version);
    }
    for (const note of this.#notes) if (note > after) this.#notes.delete(note);
    this.last = upTo;
    return this.usage();
  }

  /** Each note is a sum of its own, with its version for an hour. */
  meter({ after, upTo }: Body): Reply<'meter-read'> {
    const noted = [...this.#notes].filter((version) => version > after && version <= upTo);
    const amount = { key: 'key', writes: 1, written: 1, deleted: 0, bytes: 0 };
    const sums = noted.slice(0, NOTES_MAX).map((hour) => ({ ...amount, hour }));
    const more = sums.length < noted.length;
    const reached = Math.max(after, Math.min(upTo, this.last));
    return { sums, upTo: more ? must(sums.at(-1), 'there are some').hour : reached, more };
  }

  level(
    source: { rows: ReadonlyMap<number, Row>; history: ReadonlySet<number> },
    last: number,
  ): void {
    const { rows, history } = source;
    this.history = new Set(history);
    this.#notes.clear();
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
  metered: number;
  after: number;
  upTo: number;
}

/** What is written to it stays, whoever dies. */
class DurableLedger {
  /** Versions of writes that are in it, in the order in which they came. */
  readonly versions: number[] = [];
  #reached = 0;

  get reached(): number {
    return this.#reached;
  }

  write(entry: LedgerEntry): void {
    if (entry.kind !== 'writes' || entry.after < this.#reached) return;
    for (const { hour } of entry.sums) this.versions.push(hour);
    this.#reached = entry.upTo;
  }
}

export class World {
  readonly random: SeededRandom;
  readonly disks = new Map<WorkerId, Disk>();
  /** What `control.db` has. */
  readonly placements: ReplicaPlacement[];
  set: ReplicaSet;
  /** Of each life of the coordinator. */
  readonly #meterings: Metering[] = [];
  readonly ledger = new DurableLedger();
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
    this.#meterings.push(this.#meter());
  }

  get metering(): Metering {
    return must(this.#meterings[this.#life], 'each life has one');
  }

  disk(workerId: WorkerId): Disk {
    return must(this.disks.get(workerId), 'a worker has a disk');
  }

  /** The coordinator dies and starts again. */
  restart(): void {
    this.#life += 1;
    this.set = this.#open();
    this.#meterings.push(this.#meter());
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
    const change = (workerId: WorkerId, to: Partial<ReplicaPlacement>) => {
      if (this.#life !== life) throw new AppError('shutting_down');
      const placement = this.placements.find((one) => one.workerId === workerId);
      Object.assign(must(placement, 'it is placed'), to);
    };
    return {
      link: this.#link(),
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
      log: this.#log,
      timing: TIMING,
      graceEndMs: systemClock.monotonicMs() + TIMING.startGraceMs,
      wrote: (set) => {
        if (this.random.next() < 0.3) void this.#carry(set, life);
      },
      fellBehind: (set, replica) => void this.#level(set, replica, life),
    };
  }

  readonly #log: Log = {
    event: (event) => {
      if (event === 'writes_undone') this.undone += 1;
    },
  };

  #link(): ReplicaSetDeps['link'] {
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
    return { isReady, request: request as unknown as ReplicaSetDeps['link']['request'] };
  }

  #meter(): Metering {
    const life = this.#life;
    const reach = async () => {
      if (this.#life !== life) throw new AppError('shutting_down');
      await this.#pause();
      if (this.#life !== life) throw new AppError('shutting_down');
    };
    return new Metering({
      ledger: {
        append: async (entry) => {
          await reach();
          this.ledger.write(entry);
          await reach();
        },
        ask: async () => {
          await reach();
          return { version: this.ledger.reached, closed: false } as never;
        },
      },
      pages: new PageLink({ link: this.#link(), clock: systemClock }),
      carryAfterMs: TIMING.carryAfterMs,
      ownerOf: () => ({ clientId: 'client' as ClientId, mode: 'live', namespace: 'default' }),
      clock: systemClock,
      log: this.#log,
    });
  }

  async #carry(set: ReplicaSet, life: number): Promise<void> {
    const metering = must(this.#meterings[life], 'each life has one');
    await this.#pause();
    await metering.carry(set).catch((error: unknown) => {
      assert.ok(error instanceof AppError, String(error));
    });
  }

  async #serve(disk: Disk, life: number, name: string, body: Body) {
    const isWrite = name !== 'shard-usage' && name !== 'meter-read';
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
  async #level(set: ReplicaSet, replica: Replica, life: number): Promise<void> {
    const target = this.disk(replica.workerId);
    for (let tries = 0; tries < 200 && replica.state === 'behind'; tries += 1) {
      await this.#pause();
      if (!target.ready || this.set !== set) continue;
      await set
        .exclusive(50, async () => {
          const [source] = set.readers();
          // It may have joined meanwhile, and left and been taken up once more before.
          if (source === undefined || replica.state === 'in_sync') return;
          const from = this.disk(source);
          const held = await from.inOrder(async () => {
            return { rows: new Map(from.rows), history: new Set(from.history) };
          });
          await target.inOrder(async () => {
            if (this.set !== set || !from.ready || !target.ready) return;
            target.level(held, from.last);
          });
          const said = await Promise.all(
            [from, target].map((disk) => disk.inOrder(async () => disk.usage())),
          );
          const current = this.set === set && from.ready && target.ready;
          if (!current || !isSame(must(said[0], 'two'), must(said[1], 'two'))) return;
          const metering = must(this.#meterings[life], 'each life has one');
          await metering.carryAll(set, source, Deadline.after(systemClock, 50));
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

function act(disk: Disk, name: string, body: Body): Written | Reply<'meter-read'> {
  if (name === 'shard-usage') return disk.usage();
  if (name === 'meter-read') return disk.meter(body);
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

/** One history; at its end all workers are there. */
export async function play(random: SeededRandom, needed: number) {
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
