/**
 * Copies the points of some shards to others that are to take their place, through the coordinator,
 * while reads and writes go on at the first. There are no double writes: the feed that levels replicas
 * tells what has changed, and each page of it is divided among the new shards by their number.
 *
 *   1  a first round: all ranges of each old shard. What the shard's version was before it is recorded
 *   2  passes: points and removed ids newer than that version, and again newer than the version at the
 *      beginning of the pass before; they grow shorter
 *   3  with all writes paused for a moment: the last pass, and the proof. Points, bytes and digests of
 *      the old shards have to be together those of the new ones; a digest is a sum over all (id,
 *      version), so it does not matter how they are divided
 *          the same ------> the new ones take the place of the old ones, before the pause ends
 *          not the same --> `CopyFailed`: what is in the new shards is of no use
 *
 * A page replaces whatever is there, so whatever dies in between, the copy goes on from what was
 * recorded. A first round that was broken off is made again, and the passes after it still begin at the
 * version before the first one: so they tell of rows, too, that the first one copied and that were
 * deleted before the second.
 *
 * Each page goes to all replicas in sync of a new shard, and while it does no replica joins them.
 */
import { must } from '../../../shared/base/assert.ts';
import type { Clock } from '../../../shared/base/clock.ts';
import { Deadline } from '../../../shared/base/deadline.ts';
import type { ShardId, WorkerId } from '../../../shared/base/ids.ts';
import { Slices } from '../../../shared/base/slices.ts';
import { AppError } from '../../../shared/errors/app-error.ts';
import type { Page } from '../../../shared/protocol/page.ts';
import type { Written } from '../../../shared/protocol/schema.ts';
import type { CopyState } from '../../store/resharding.ts';
import type { Metering } from '../metering.ts';
import { pauseAll } from '../replicas/pause-all.ts';
import { awayError, isSame } from '../replicas/replica.ts';
import type { ReplicaSet } from '../replicas/replica-set.ts';
import { Brake } from './brake.ts';
import { changesSince, onceRowsOf } from './changes.ts';
import { settledVersion } from './levelling.ts';
import type { PageLink } from './page-link.ts';
import { type Range, rangeOf } from './ranges.ts';
import { type PagePart, splitPage } from './split-page.ts';

export interface ShardCopyDeps {
  pages: PageLink;
  metering: Pick<Metering, 'carryAll'>;
  clock: Clock;
  /** Durable on return. */
  note: (shardId: ShardId, state: CopyState) => void;
  /** Called before each page; throws when the copy is not wanted any more. */
  mustGoOn: () => void;
}

export interface CopyPlan {
  sources: readonly ReplicaSet[];
  /** In the order of their ordinals. */
  targets: readonly ReplicaSet[];
  /** How many replicas a shard should have. */
  replicas: number;
  /** Components of a vector. */
  dimension: number;
  /** How far it has come before. */
  states: ReadonlyMap<ShardId, CopyState>;
}

/** Why what was copied is of no use. */
export type CopyFailure = 'too_far' | 'differs';

export class CopyFailed extends Error {
  readonly reason: CopyFailure;

  constructor(reason: CopyFailure) {
    super(`the copy of a collection's shards is of no use: ${reason}`);
    this.reason = reason;
  }
}

/** One page for all new shards. */
interface Handed {
  page: Page;
  vectors: Float32Array;
  floor: number;
  /** The last version of the source, when they have to know it; else 0. */
  lastVersion: number;
}

/** How pages are handed on. */
interface Manner {
  /** Whether writes are paused: then there are no rests, and each request has to end until then. */
  paused?: Deadline;
  brake?: Brake;
}

const AT_LEISURE: Manner = {};

/** Changes that are left for the pause. */
const LAST_ROWS = 256;
/** Under writes that come as fast as they are copied, passes do not grow shorter. */
const PASSES_MAX = 20;
/** How long writes may be held up: for those under way to end, and for the last pass. */
const PAUSE_WAIT_MS = 500;
const PAUSE_MS = 1_500;
/** How long all in all it is waited for replicas of new shards that are behind, and how often looked:
 * as long as pages come they can not become level. */
const LEVELLING_WAIT_MS = 60_000;
const LEVELLING_LOOK_MS = 100;

export class ShardCopy {
  readonly #deps: ShardCopyDeps;
  readonly #plan: CopyPlan;
  readonly #states: Map<ShardId, CopyState>;
  /** What the new shards said that they hold, by place. */
  readonly #held: Written[] = [];
  #patienceMs = LEVELLING_WAIT_MS;

  constructor(deps: ShardCopyDeps, plan: CopyPlan) {
    this.#deps = deps;
    this.#plan = plan;
    this.#states = new Map(plan.states);
  }

  /** Points that the new shards have, as far as they have said. */
  get points(): number {
    return this.#held.reduce((sum, held) => sum + held.points, 0);
  }

  /** Copies until little is left. Throws `CopyFailed`, and what workers answer. */
  async catchUp(): Promise<void> {
    await this.#askTargets();
    const brake = new Brake(this.#deps.clock, this.#plan.sources);
    try {
      for (let pass = 1; ; pass += 1) {
        const rows = await this.#pass(brake);
        if (rows <= LAST_ROWS || pass === PASSES_MAX) break;
      }
    } finally {
      brake.release();
    }
    await this.#waitForLevelling();
  }

  /** What has changed at each source since the pass before; how many rows that was. */
  async #pass(brake: Brake): Promise<number> {
    let rows = 0;
    for (const source of this.#plan.sources) {
      await this.#waitForLevelling();
      if (this.#states.get(source.shardId)?.whole !== true) await this.#copyWhole(source);
      rows += await this.#copyChanges(source, await this.#deps.pages.readerOf(source), { brake });
    }
    return rows;
  }

  /**
   * The last pass and the proof, with writes paused. `takePlace` gets what each new shard holds, and
   * must have let them take the place of the old ones when it returns. Resolves to how long writes were
   * held up, in milliseconds. Throws as `catchUp` does, and `overloaded` when writes under way take
   * too long; then they go on where they were.
   */
  async conclude(takePlace: (held: Map<ShardId, Written>) => void): Promise<number> {
    const { pages, clock } = this.#deps;
    const { sources, targets } = this.#plan;
    const startMs = pages.nowMs;
    await pauseAll([...sources, ...targets], { clock, waitMs: PAUSE_WAIT_MS }, async () => {
      this.#checkCopies();
      const paused = Deadline.after(clock, PAUSE_MS);
      const theirs = await inParallel(sources, (source) => this.#lastPass(source, paused));
      const ours = await inParallel(targets, (target) => heldBy(target, paused));
      if (!isSame(sumOf(theirs), sumOf(ours))) throw new CopyFailed('differs');
      this.#deps.mustGoOn();
      takePlace(new Map(targets.map(({ shardId }, i) => [shardId, must(ours[i], 'one each')])));
    });
    return pages.nowMs - startMs;
  }

  /** So many copies of each point as there were have to be there afterwards, or a write that has been
   * acknowledged could be lost more easily than before. */
  #checkCopies(): void {
    const { sources, targets, replicas } = this.#plan;
    const countOf = (sets: readonly ReplicaSet[]) => {
      return Math.min(...sets.map(({ inSync }) => inSync.length));
    };
    if (countOf(targets) >= Math.min(replicas, countOf(sources))) return;
    throw new AppError('unavailable', 'a replica of a shard that is being filled is behind');
  }

  /** What they have from before. */
  async #askTargets(): Promise<void> {
    const { pages } = this.#deps;
    for (const [place, target] of this.#plan.targets.entries()) {
      const workerId = await this.#deps.pages.readerOf(target);
      this.#held[place] = await target.usage(workerId, pages.deadline());
    }
  }

  async #copyWhole(source: ReplicaSet): Promise<void> {
    const { pages, note, mustGoOn } = this.#deps;
    const { shardId } = source;
    const at = { shardId, workerId: await this.#deps.pages.readerOf(source) };
    let since = this.#states.get(shardId)?.since;
    if (since === undefined) {
      const settled = settledVersion(source);
      since = Math.min((await source.usage(at.workerId, pages.deadline())).version, settled);
      mustGoOn();
      note(shardId, { since, whole: false });
    }
    let from: Range['from'];
    for (;;) {
      const startMs = pages.nowMs;
      const wanted = { range: rangeOf(from, undefined), upTo: since };
      const { body, vectors } = await pages.ask(at, 'range-read', wanted);
      const { page, next } = body;
      await this.#hand({ page, vectors, floor: 0, lastVersion: 0 }, AT_LEISURE);
      if (next === null) break;
      from = next;
      await pages.restSince(startMs);
    }
    if (this.#plan.sources.length === 1) await this.#copyOnceRows(at);
    this.#note(source, { since, whole: true });
  }

  /** What the only shard knows of writes that take effect once (`split-page.ts`). */
  async #copyOnceRows(at: { shardId: ShardId; workerId: WorkerId }): Promise<void> {
    for await (const { page, vectors } of onceRowsOf(this.#deps.pages, at)) {
      await this.#hand({ page, vectors, floor: 0, lastVersion: 0 }, AT_LEISURE);
    }
  }

  /** Copies all that is newer than what was copied; how many rows that was. */
  async #copyChanges(source: ReplicaSet, workerId: WorkerId, manner: Manner): Promise<number> {
    const { shardId } = source;
    const { paused, brake } = manner;
    const { since } = must(this.#states.get(shardId), 'the first round comes before');
    const wanted = { since, settled: settledVersion(source), paused };
    let copied = 0;
    let reached = since;
    for await (const part of changesSince(this.#deps.pages, { shardId, workerId }, wanted)) {
      if (part.tooFar) throw new CopyFailed('too_far');
      const { page, vectors, floor, version, rows, isLast } = part;
      const lastVersion = paused !== undefined && isLast ? version : 0;
      await this.#hand({ page, vectors, floor, lastVersion }, manner);
      copied += rows;
      brake?.copied(rows);
      reached = version;
    }
    if (paused === undefined && reached > since) {
      this.#note(source, { since: reached, whole: true });
    }
    return copied;
  }

  /** While no write is under way: what the shard holds, all of which has been copied then. */
  async #lastPass(source: ReplicaSet, paused: Deadline): Promise<Written> {
    const [reader] = source.readers();
    if (reader === undefined) throw awayError();
    // It answers when all writes that ever came to it have ended, those too of which nobody knows.
    const held = await source.usage(reader, paused);
    await this.#copyChanges(source, reader, { paused });
    await this.#deps.metering.carryAll(source, reader, paused);
    return held;
  }

  /** Hands each new shard what is for it. */
  async #hand({ page, vectors, floor, lastVersion }: Handed, { paused }: Manner): Promise<void> {
    const { clock, pages, mustGoOn } = this.#deps;
    const { targets, dimension } = this.#plan;
    mustGoOn();
    const slices = new Slices(clock);
    const parts: PagePart[] = [];
    const isOnly = this.#plan.sources.length === 1;
    const read = { body: page, vectors };
    for (const part of splitPage(read, targets.length, { dimension, isOnly })) {
      parts.push(part);
      if (slices.due) await slices.rest();
    }
    await inParallel(targets, async (target, place) => {
      const part = must(parts[place], 'there is a part for each');
      if (part.rows === 0 && lastVersion === 0) return;
      const body = { page: part.page, floor, lastVersion };
      const apply = async () => {
        const deadline = paused ?? pages.deadline();
        this.#held[place] = await target.all('changes-apply', body, deadline, part.vectors);
      };
      // In the pause of all nobody joins anyway.
      await (paused === undefined ? target.exclusive(PAUSE_WAIT_MS, apply) : apply());
    });
  }

  #note({ shardId }: ReplicaSet, state: CopyState): void {
    this.#deps.mustGoOn();
    this.#deps.note(shardId, state);
    this.#states.set(shardId, state);
  }

  /** Lets replicas of new shards become level that are behind and whose workers are there. */
  async #waitForLevelling(): Promise<void> {
    const { pages } = this.#deps;
    const isLevelling = () => {
      return this.#plan.targets.some(({ replicas }) => {
        return replicas.some(
          ({ state, workerId }) => state === 'behind' && pages.isReady(workerId),
        );
      });
    };
    while (this.#patienceMs > 0 && isLevelling()) {
      this.#deps.mustGoOn();
      await pages.rest(LEVELLING_LOOK_MS);
      this.#patienceMs -= LEVELLING_LOOK_MS;
    }
  }
}

/** What all replicas in sync of the shard hold. Throws `CopyFailed` when that is not the same. */
async function heldBy(target: ReplicaSet, deadline: Deadline): Promise<Written> {
  const { inSync } = target;
  const said = await inParallel(inSync, ({ workerId }) => target.usage(workerId, deadline));
  const first = must(said[0], 'a shard has a replica in sync');
  if (!said.every((held) => isSame(held, first))) throw new CopyFailed('differs');
  return said.reduce((a, b) => (b.version > a.version ? b : a));
}

const DIGEST_MODULUS = 2 ** 52;

/** What shards hold together. */
export function sumOf(parts: readonly Written[]): Written {
  const total = { version: 0, points: 0, bytes: 0, digest: 0 };
  for (const part of parts) {
    total.version = Math.max(total.version, part.version);
    total.points += part.points;
    total.bytes += part.bytes;
    total.digest = (total.digest + part.digest) % DIGEST_MODULUS;
  }
  return total;
}

/** All at once, and waits for all: nothing is under way any more when one has failed. */
async function inParallel<T, R>(
  items: readonly T[],
  run: (item: T, place: number) => Promise<R>,
): Promise<R[]> {
  const outcomes = await Promise.allSettled(items.map(run));
  return outcomes.map((outcome) => {
    if (outcome.status === 'rejected') throw outcome.reason;
    return outcome.value;
  });
}
