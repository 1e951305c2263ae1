/**
 * What one client's live shards hold, and what its writes under way may add: the books by which
 * its quotas of points and bytes are kept.
 *
 *   quota  =  used  +  promised  +  in doubt  +  claimed  +  left
 *
 *   used      what each shard said after its latest write that was answered
 *   promised  to writes under way: a write is promised what it may add at most, or what is left,
 *             before it is sent, and grows its shard by no more than that. What an answer says may
 *             hold the growth of writes that are not answered yet, so some is counted twice for a
 *             while, but none is missed
 *   in doubt  was promised to writes whose outcome is not known; until their shards were asked
 *   claimed   by writes that wait for their turn
 *
 * So the shards never hold more than the quota, however many write at once. What a write may add
 * is often more than it does add (it replaces points that are there), so one that was promised too
 * little may still fit: its worker decides. If that says no while others are promised something,
 * these may not need it. Then the write waits for its turn:
 *
 *   writes   a b c | d e f | g h         `d` waits for a, b and c; `g` for all before it
 *                    ^turn   ^turn       what comes later gets only what `d` does not claim
 *
 * At its turn all that were ahead of it have ended. Was anything promised behind it meanwhile, then
 * only because all that it claims was left, too; was nothing, then `used` is exact. So the next no
 * of the worker is the truth. A turn costs no other write anything: who needs no room goes on
 * beside it.
 */
import type { ShardId } from '../../shared/base/ids.ts';
import type { PlanLimits } from '../../shared/domain/plan.ts';
import type { Room, Written } from '../../shared/protocol/schema.ts';

export type Amount = Room;
/** What a shard says that it holds. */
export type Held = Pick<Written, 'version' | 'points' | 'bytes'>;
export type Quota = Pick<PlanLimits, 'points' | 'bytes'>;

export const NOTHING: Readonly<Amount> = { points: 0, bytes: 0 };

/** One shard as it is known. */
export interface ShardUsage {
  readonly shardId: ShardId;
  /** Undefined while nothing was heard from it. */
  known: Held | undefined;
  doubt: Amount;
  /** Counts outcomes that never came. */
  lostCount: number;
  /** Whether it said what it holds since this account was opened. */
  asked: boolean;
  /** Not before; in monotonic time. */
  askAtMs: number;
  dropped: boolean;
}

/** The place of one write that may grow a shard. */
export interface Reservation {
  readonly shard: ShardUsage | undefined;
  /** What the write may add at most. */
  need: Readonly<Amount>;
  /** What it is promised. */
  points: number;
  bytes: number;
  /** Whether it is promised less than it may need because others are promised something. */
  contended: boolean;
  /** From when it waits for its turn on. */
  claim: Claim | undefined;
  batch: Batch;
}

interface Claim extends Amount {
  /** How often something had been promised when it was made. */
  promises: Amount;
}

export class UsageAccount {
  readonly #shards = new Map<ShardId, ShardUsage>();
  /** Shards that may hold something else than what is known. */
  readonly #unsure = new Set<ShardUsage>();
  readonly #used = { ...NOTHING };
  readonly #promised = { ...NOTHING };
  readonly #doubt = { ...NOTHING };
  readonly #claimed = { ...NOTHING };
  /** Counts promises of more than nothing, which all claims are left beside. */
  readonly #promises = { ...NOTHING };
  #batch = new Batch();
  /** Resolves when the batches before this one have ended. */
  #before: Promise<void> = Promise.resolve();

  get used(): Readonly<Amount> {
    return this.#used;
  }

  /** Those that are to be asked before what is known of them is relied on. */
  get unsure(): ReadonlySet<ShardUsage> {
    return this.#unsure;
  }

  /** How many points writes under way may add to any shard. */
  get comingPoints(): number {
    return this.#promised.points + this.#doubt.points;
  }

  shard(shardId: ShardId): ShardUsage | undefined {
    return this.#shards.get(shardId);
  }

  /** Takes a shard into the books: an empty one, or one that is still to be asked. */
  add(shardId: ShardId, as: 'empty' | 'unknown'): void {
    if (this.#shards.has(shardId)) return;
    const asked = as === 'empty';
    const known = asked ? { version: 0, ...NOTHING } : undefined;
    const doubt = { ...NOTHING };
    const [lostCount, askAtMs, dropped] = [0, 0, false];
    const shard = { shardId, known, doubt, lostCount, asked, askAtMs, dropped };
    this.#shards.set(shardId, shard);
    if (!asked) this.#unsure.add(shard);
  }

  /** What it held is free at once, whatever is still under way to it. */
  drop(shardId: ShardId): void {
    const shard = this.#shards.get(shardId);
    if (shard === undefined) return;
    move(this.#used, shard.known ?? NOTHING, NOTHING);
    move(this.#doubt, shard.doubt, NOTHING);
    shard.dropped = true;
    this.#unsure.delete(shard);
    this.#shards.delete(shardId);
  }

  /** What a shard said after a write. Answers come in any order: the latest version counts. */
  learn(shard: ShardUsage, said: Held): void {
    if (shard.dropped || said.version < (shard.known?.version ?? 0)) return;
    move(this.#used, shard.known ?? NOTHING, said);
    shard.known = said;
  }

  /** The outcome of a write did not come. What it was promised stays out of reach. */
  lose(shard: ShardUsage, reservation?: Reservation): void {
    if (shard.dropped) return;
    shard.lostCount += 1;
    this.#unsure.add(shard);
    if (reservation === undefined) return;
    move(this.#doubt, NOTHING, reservation);
    move(shard.doubt, NOTHING, reservation);
    this.#promise(reservation, NOTHING);
  }

  /** What a shard said when asked. `before` is a copy from when it was asked: outcomes that were
   * lost since then are still in doubt. */
  settle(shard: ShardUsage, said: Held, before: Pick<ShardUsage, 'doubt' | 'lostCount'>): void {
    if (shard.dropped) return;
    this.learn(shard, said);
    shard.asked = true;
    move(this.#doubt, before.doubt, NOTHING);
    move(shard.doubt, before.doubt, NOTHING);
    if (shard.lostCount === before.lostCount) this.#unsure.delete(shard);
  }

  /** Takes a place, with nothing promised yet; to be given back by `leave`. */
  enter(shard: ShardUsage | undefined): Reservation {
    const batch = this.#batch;
    batch.enter();
    const promised = { need: NOTHING, ...NOTHING, contended: false };
    return { shard, ...promised, claim: undefined, batch };
  }

  /** Promises what is needed or, of each kind, what is left. True when that is all. */
  promise(reservation: Reservation, need: Readonly<Amount>, quota: Quota): boolean {
    this.#promise(reservation, NOTHING);
    const points = Math.min(need.points, this.#left('points', reservation, quota));
    const bytes = Math.min(need.bytes, this.#left('bytes', reservation, quota));
    const fewPoints = points < need.points;
    const fewBytes = bytes < need.bytes;
    reservation.need = need;
    reservation.contended =
      (fewPoints && this.#isPromised('points')) || (fewBytes && this.#isPromised('bytes'));
    if (reservation.claim === undefined) {
      if (points > 0) this.#promises.points += 1;
      if (bytes > 0) this.#promises.bytes += 1;
    }
    this.#promise(reservation, { points, bytes });
    return !fewPoints && !fewBytes;
  }

  /** Claims all that is needed and resolves when every write that is ahead has ended. */
  turn(reservation: Reservation, quota: Quota): Promise<void> {
    const { need } = reservation;
    // More than there is keeps nobody out who would not be kept out by all there is.
    const points = Math.min(need.points, quota.points);
    const bytes = Math.min(need.bytes, quota.bytes);
    this.#promise(reservation, NOTHING);
    reservation.claim = { points, bytes, promises: { ...this.#promises } };
    move(this.#claimed, NOTHING, reservation.claim);
    reservation.batch.leave();
    const ended = this.#batch.close();
    this.#before = this.#before.then(() => ended);
    this.#batch = new Batch();
    reservation.batch = this.#batch;
    this.#batch.enter();
    return this.#before;
  }

  /** The write was answered. */
  written(reservation: Reservation, said: Held): void {
    if (reservation.shard !== undefined) this.learn(reservation.shard, said);
    this.#promise(reservation, NOTHING);
  }

  leave(reservation: Reservation): void {
    this.#promise(reservation, NOTHING);
    move(this.#claimed, reservation.claim ?? NOTHING, NOTHING);
    reservation.batch.leave();
  }

  /**
   * For one that has its turn, the claims of those behind it do not count; and all that it claims is
   * left, whatever is counted twice now, when something was left for others beside it.
   */
  #left(kind: keyof Amount, { claim }: Reservation, quota: Quota): number {
    const free = quota[kind] - this.#used[kind] - this.#promised[kind] - this.#doubt[kind];
    if (claim === undefined) return Math.max(0, free - this.#claimed[kind]);
    const isCovered = this.#promises[kind] > claim.promises[kind];
    return isCovered ? claim[kind] : Math.max(0, free);
  }

  #isPromised(kind: keyof Amount): boolean {
    return this.#promised[kind] > 0 || this.#claimed[kind] > 0;
  }

  #promise(reservation: Reservation, amount: Readonly<Amount>): void {
    move(this.#promised, reservation, amount);
    reservation.points = amount.points;
    reservation.bytes = amount.bytes;
  }
}

/** Takes one part of a total out and another in. */
function move(total: Amount, out: Readonly<Amount>, into: Readonly<Amount>): void {
  total.points += into.points - out.points;
  total.bytes += into.bytes - out.bytes;
}

/** Writes that began between two turns. */
class Batch {
  #underWay = 0;
  #closed = false;
  readonly #ended = Promise.withResolvers<void>();

  enter(): void {
    this.#underWay += 1;
  }

  leave(): void {
    this.#underWay -= 1;
    if (this.#closed && this.#underWay === 0) this.#ended.resolve();
  }

  /** No more enter; resolves when the last has left. */
  close(): Promise<void> {
    this.#closed = true;
    if (this.#underWay === 0) this.#ended.resolve();
    return this.#ended.promise;
  }
}
