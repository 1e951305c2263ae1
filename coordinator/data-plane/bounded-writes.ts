/**
 * Sends writes so that the client's quotas of points and bytes hold; how is said at
 * the head of `limits/usage-account.ts`. A write far from the quota costs some additions. Near it:
 *
 *   promised all it may need -------------------------------> sent without a room
 *   promised less: ask the shards in doubt, if any; then
 *     over the quota whatever points are there -------------> refused
 *     else --> sent with the promise as its room --> fits --> answered
 *                                  | does not fit
 *                                  +-- nobody else is promised anything --> refused
 *                                  +-- else: waits for its turn, and once more
 *
 * The worker that refuses a write for its room has changed nothing, so sending it again is safe.
 * A change by filter may have changed some points by then, and changes them again. It is promised a
 * quarter of what is left first, and waits for its turn before it is promised more.
 */
import type { Clock } from '../../shared/base/clock.ts';
import type { Deadline } from '../../shared/base/deadline.ts';
import { InvalidInput } from '../../shared/base/invalid.ts';
import { PLAN_LIMITS } from '../../shared/domain/plan.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Written } from '../../shared/protocol/schema.ts';
import { isByFilter, UNTOUCHED } from '../cluster/replicas/write-round.ts';
import type { ClientUsage, UsageOwner } from '../limits/client-usage.ts';
import type { Quota, Reservation, ShardUsage, UsageAccount } from '../limits/usage-account.ts';
import type { Router } from '../routing/router.ts';
import type { CollectionRecord, ShardPlacement } from '../store/collections.ts';
import { growthMax, mayGrow, type Write } from './write.ts';

export interface BoundedWritesDeps {
  router: Pick<Router, 'write'>;
  usage: ClientUsage;
  quotaOf: (owner: UsageOwner) => Quota;
  clock: Clock;
}

export interface BoundedWrite {
  record: CollectionRecord;
  /** Whose points the write is for. */
  shard: ShardPlacement;
  write: Write;
  deadline: Deadline;
}

/** A write that may grow its shard. */
interface Growing extends BoundedWrite {
  account: UsageAccount;
  reservation: Reservation;
}

/** Errors by which a write says that it changed nothing. After any other it may have. */
const NOTHING_CHANGED = new Set([...UNTOUCHED, 'shard_quarantined', 'shard_damaged']);

export class BoundedWrites {
  readonly #deps: BoundedWritesDeps;

  constructor(deps: BoundedWritesDeps) {
    this.#deps = deps;
  }

  /** Throws `quota_exceeded` and what `Router.request` throws. */
  send(call: BoundedWrite): Promise<Written> {
    return mayGrow(call.write) ? this.#grow(call) : this.#change(call);
  }

  async #request({ shard, write, deadline }: BoundedWrite, room?: Reservation): Promise<Written> {
    const { name, body, vectors } = write;
    const bounded = room && { ...body, room: { points: room.points, bytes: room.bytes } };
    return this.#deps.router.write(shard, name, bounded ?? body, vectors, deadline);
  }

  /** A write that needs no room; what it frees is free when it is answered. */
  async #change(call: BoundedWrite): Promise<Written> {
    const account = this.#deps.usage.account(call.record);
    const shard = account.shard(call.shard.shardId);
    try {
      const written = await this.#request(call);
      if (shard !== undefined) account.learn(shard, written);
      return written;
    } catch (error) {
      if (shard !== undefined && !changedNothing(error, call.write)) account.lose(shard);
      throw error;
    }
  }

  async #grow(call: BoundedWrite): Promise<Written> {
    const { usage } = this.#deps;
    const { record, deadline } = call;
    if (usage.mustAsk(record)) await this.#inTime(usage.ask(record), deadline);
    const account = usage.account(record);
    const reservation = account.enter(account.shard(call.shard.shardId));
    try {
      return await this.#sendGrowing({ ...call, account, reservation });
    } finally {
      account.leave(reservation);
    }
  }

  async #sendGrowing(growing: Growing): Promise<Written> {
    const { reservation } = growing;
    let hadTurn = false;
    for (;;) {
      if (!hadTurn && this.#promiseShare(growing)) {
        const written = await this.#tryShare(growing);
        if (written !== undefined) return written;
        hadTurn = true;
        // From here on it needs all that it may add at most.
        this.#promise(growing);
        await this.#turn(growing);
      }
      const whole = this.#promise(growing) || (await this.#promiseSurely(growing));
      if (!whole && reservation.contended && !hadTurn && isByFilter(growing.write.body)) {
        hadTurn = true;
        await this.#turn(growing);
        continue;
      }
      try {
        return await this.#sendPromised(growing, whole);
      } catch (error) {
        if (!isQuotaExceeded(error)) throw error;
        if (hadTurn || !reservation.contended) throw this.#refusal(growing, error);
      }
      hadTurn = true;
      await this.#turn(growing);
    }
  }

  /**
   * What a change by filter may add at most is mostly far more than it does. So it is promised a part
   * of what is left first: all of it would make every other writer wait. False when it needs no
   * more than that, or can not have it.
   */
  #promiseShare({ account, reservation, record, write }: Growing): boolean {
    if (!isByFilter(write.body)) return false;
    const quota = this.#deps.quotaOf(record);
    const need = growthMax(write, record.config.vector, pointsAtMost(reservation.shard, account));
    const bytes = Math.floor(FILTER_SHARE * Math.max(0, quota.bytes - account.used.bytes));
    return bytes < need.bytes && account.promise(reservation, { ...need, bytes }, quota);
  }

  /** Undefined when it does not fit; it may have changed some points, and changes them again then. */
  async #tryShare(growing: Growing): Promise<Written | undefined> {
    try {
      return await this.#sendPromised(growing, false);
    } catch (error) {
      if (isQuotaExceeded(error)) return undefined;
      throw error;
    }
  }

  #turn({ account, reservation, record, deadline }: Growing): Promise<void> {
    const quota = this.#deps.quotaOf(record);
    return this.#inTime(account.turn(reservation, quota), deadline);
  }

  #promise({ account, reservation, record, write }: Growing): boolean {
    const quota = this.#deps.quotaOf(record);
    const need = growthMax(write, record.config.vector, pointsAtMost(reservation.shard, account));
    return account.promise(reservation, need, quota);
  }

  /** The same when what is known for sure does not suffice. Throws when it can not fit. */
  async #promiseSurely(growing: Growing): Promise<boolean> {
    const { usage } = this.#deps;
    const { record, deadline } = growing;
    while (usage.mayAsk(record)) {
      await this.#inTime(usage.ask(record), deadline);
      if (this.#promise(growing)) return true;
    }
    if (this.#isOver(growing)) throw this.#refusal(growing);
    return false;
  }

  /** Whether it would not fit even if it replaced all points of its shard. */
  #isOver({ account, reservation, record, write }: Growing): boolean {
    const { shard, need } = reservation;
    if (write.name !== 'points-upsert' || shard?.known === undefined) return false;
    // It may have been done before, and adds nothing then: its worker says so.
    if (write.body.once !== undefined) return false;
    if (account.unsure.has(shard)) return false;
    const quota = this.#deps.quotaOf(record);
    const { known } = shard;
    return KINDS.some((kind) => {
      return need[kind] - known[kind] > Math.max(0, quota[kind] - account.used[kind]);
    });
  }

  async #sendPromised(growing: Growing, whole: boolean): Promise<Written> {
    const { account, reservation, write } = growing;
    try {
      // How many points a filter matches is not sure until it is evaluated, so it is always bounded.
      const free = whole && !isByFilter(write.body);
      const written = await this.#request(growing, free ? undefined : reservation);
      account.written(reservation, written);
      return written;
    } catch (error) {
      const { shard } = reservation;
      if (shard !== undefined && !changedNothing(error, write)) account.lose(shard, reservation);
      throw error;
    }
  }

  #refusal({ account, reservation, record, write }: Growing, cause?: unknown): AppError {
    const quota = this.#deps.quotaOf(record);
    const { need } = reservation;
    const over = KINDS.filter((kind) => need[kind] > quota[kind] - account.used[kind]);
    const limits = (over.length === 0 ? KINDS : over).map((kind) => {
      return `${quota[kind]} ${kind}, of which ${account.used[kind]} are used`;
    });
    const most = `this write may add ${need.points} points and ${need.bytes} bytes`;
    const partly = isByFilter(write.body) ? '; some of the points may have been changed' : '';
    const text = `the plan allows ${limits.join(', and ')}; ${most}: delete some first, or ask for a larger plan${partly}`;
    return new AppError('quota_exceeded', text, { cause });
  }

  async #inTime(wait: Promise<void>, deadline: Deadline): Promise<void> {
    const late = Promise.withResolvers<never>();
    const cancel = this.#deps.clock.after(deadline.remainingMs(), () => {
      const text = 'the deadline passed before the quota was sure; nothing was changed, try again';
      late.reject(new AppError('deadline_exceeded', text));
    });
    await Promise.race([wait, late.promise]).finally(cancel);
  }
}

/** Of what is left, for a change whose points only its worker finds. */
const FILTER_SHARE = 1 / 4;

const KINDS = ['points', 'bytes'] as const;

/** How many points the shard can have when the write comes to it. */
function pointsAtMost(shard: ShardUsage | undefined, account: UsageAccount): number {
  if (shard?.known === undefined) return PLAN_LIMITS.points.max;
  return shard.known.points + account.comingPoints;
}

function isQuotaExceeded(error: unknown): boolean {
  return error instanceof AppError && error.code === 'quota_exceeded';
}

/** Whether the error that `send` threw says that the write changed nothing. */
export function changedNothing(error: unknown, write: Write): boolean {
  if (error instanceof InvalidInput) return true;
  if (!(error instanceof AppError) || isByFilter(write.body)) return false;
  return NOTHING_CHANGED.has(error.code);
}
