/**
 * The replicas of one shard, and the order of its writes.
 *
 * The coordinator gives each write its version and sends it to every replica in sync; the order on
 * each link is the order of versions. It is acknowledged when all of them have it on disk, or those
 * that have not are recorded as behind (`write-round.ts`). So every replica that `control.db` calls
 * in sync has every acknowledged write, whatever process dies when.
 *
 *                 all have written                 one has, one has not: leave() first
 *   write --> version, sent to all in sync --> acknowledged
 *                                          |-> none surely has: outcome unknown --> settle()
 *                                          \-> too few have: undone at those (`takeBack`)
 *
 * Where a write needs several replicas (`writeConsistency`), one that too few have in the end is undone
 * at those that have it, with all that are under way then: acknowledged in the order of versions
 * (`write-order.ts`), none of those before is touched, and nothing is left of those that failed.
 *
 * Replicas in sync may differ in writes that were never acknowledged: those that were under way when
 * a process died. So each proves itself before it is read from or written to: `settle` waits for the
 * writes under way, asks all that can be reached what they hold, and goes on with the one of the
 * highest version and those that hold the same; the others leave. It is due at the first use after a
 * start, when a worker has returned, and when no replica said what became of a write. A shard with
 * one replica in sync has nobody to differ from and is only asked for its last version.
 *
 * Versions that only a missing replica may have seen are never given again: after such a one has
 * left, the next version is `VERSION_LEAP` higher.
 */
import { assert, must } from '../../../shared/base/assert.ts';
import type { Clock } from '../../../shared/base/clock.ts';
import { Deadline } from '../../../shared/base/deadline.ts';
import type { ShardId, WorkerId } from '../../../shared/base/ids.ts';
import { inTime } from '../../../shared/base/in-time.ts';
import type { ShardPlace } from '../../../shared/domain/collection.ts';
import { LIMITS } from '../../../shared/domain/limits.ts';
import { AppError } from '../../../shared/errors/app-error.ts';
import type { Log } from '../../../shared/log/log.ts';
import type {
  MessageName,
  Reply,
  Request,
  Unversioned,
  WriteName,
} from '../../../shared/protocol/messages.ts';
import type { Written } from '../../../shared/protocol/schema.ts';
import type { Leaving, ReplicaPlacement, ReplicasTable } from '../../store/replicas.ts';
import type { WorkerLink } from '../../worker-link/worker-link.ts';
import { presence } from './presence.ts';
import {
  answersOf,
  awayError,
  DAMAGE_MET,
  foremostOf,
  isSame,
  isStale,
  type Replica,
  replicaOf,
  tooFewError,
} from './replica.ts';
import { ShardMoved } from './shard-moved.ts';
import type { ReplicationTiming } from './timing.ts';
import { WriteOrder } from './write-order.ts';
import { gather, isByFilter, judgeMembers, type Outcome, rowsOf } from './write-round.ts';

export interface ReplicaSetDeps {
  link: Pick<WorkerLink, 'request' | 'isReady'>;
  store: Pick<ReplicasTable, 'leave' | 'join' | 'progress' | 'add' | 'remove'>;
  clock: Clock;
  log: Log;
  timing: ReplicationTiming;
  /** In monotonic time: until then workers that are not there may be about to come. */
  graceEndMs: number;
  /** A write has ended, one way or other. */
  wrote: (set: ReplicaSet) => void;
  /** A replica is behind and has to be levelled. */
  fellBehind: (set: ReplicaSet, replica: Replica) => void;
}

/** An undo may take so many times as long as what it undoes. */
const UNDO_SHARE = 4;
/** More versions than writes can be under way. */
const VERSION_LEAP = 10 * LIMITS.workerInFlightMax;

export class ReplicaSet {
  readonly shardId: ShardId;
  readonly #deps: ReplicaSetDeps;
  #replicas: Replica[];
  #sole: WorkerId | undefined;
  /** Replicas that must have a write before it is acknowledged. */
  writeConsistency: number;
  /** Up to which version the ledger has what writes came to; unknown until it was asked. */
  meteredVersion: number | undefined;
  readonly #order: WriteOrder;
  /** What it held when it last said so. */
  #held: Written | undefined;
  #settling: Promise<void> | undefined;
  /** Whether other shards have taken its place: what it holds does not change any more. */
  #retired = false;
  /** Resolves at the next connection of one of its workers. */
  #arrival = Promise.withResolvers<void>();

  constructor(
    deps: ReplicaSetDeps,
    shard: { shardId: ShardId; replicas: readonly ReplicaPlacement[]; writeConsistency: number },
  ) {
    this.#deps = deps;
    this.#order = new WriteOrder(deps.clock);
    this.shardId = shard.shardId;
    this.writeConsistency = shard.writeConsistency;
    this.#replicas = shard.replicas.map(replicaOf);
    this.#changed();
  }

  /** A replica that is alone in sync has nobody to differ from. */
  #changed(): void {
    const [first, ...others] = this.inSync;
    this.#sole = others.length === 0 ? first?.workerId : undefined;
    if (others.length === 0 && first !== undefined) first.proved = true;
  }

  get replicas(): readonly Replica[] {
    return this.#replicas;
  }

  get inSync(): Replica[] {
    return this.#replicas.filter(({ state }) => state === 'in_sync');
  }

  /** Points and bytes of one replica, as last heard. */
  get held(): { points: number; bytes: number } {
    return this.#held ?? { points: 0, bytes: 0 };
  }

  /** The last version that was given; undefined while it is not known. */
  get lastVersion(): number | undefined {
    return this.#order.last;
  }

  /** Every write up to this version has an outcome, and is in each replica in sync if it has one. */
  get stableVersion(): number {
    return this.#order.stable;
  }

  /** The same while it is surely so, whatever dies: undefined until that is proved. */
  get decidedVersion(): number | undefined {
    return this.#isOpen ? this.stableVersion : undefined;
  }

  /** Its replicas in sync were seen to hold all the same; those of a shard that is new, nothing. */
  startWith(held: Written): void {
    this.#order.raiseTo(held.version);
    this.#held = held;
    for (const replica of this.inSync) replica.proved = true;
  }

  /** From now on its writes are refused with `ShardMoved`, those too that wait; it can be read. */
  retire(): void {
    this.#retired = true;
  }

  /** The connection to this worker is gone. */
  lost(workerId: WorkerId): void {
    const { inSync } = this;
    for (const replica of inSync) {
      if (replica.workerId === workerId && inSync.length > 1) replica.proved = false;
    }
  }

  /** This worker can be asked. */
  came(workerId: WorkerId): void {
    this.#arrival.resolve();
    this.#arrival = Promise.withResolvers();
    for (const replica of this.#replicas) {
      if (replica.workerId === workerId && replica.state === 'behind') {
        this.#deps.fellBehind(this, replica);
      }
    }
  }

  /** The files of the replica at this worker are not what was written. It is mended from another one. */
  damaged(workerId: WorkerId): void {
    const replica = this.#replicas.find((one) => one.workerId === workerId);
    if (replica === undefined) return;
    replica.damage = DAMAGE_MET[replica.damage];
    const isLast = this.inSync.length < 2;
    if (replica.state === 'in_sync' && !isLast) this.#leave([replica], 'its files are damaged', 0);
  }

  // --- reads

  /** Workers that may answer a read now, in no order; none while they have to be compared first. */
  readers(): WorkerId[] {
    const { link } = this.#deps;
    return this.inSync
      .filter(({ proved, workerId }) => proved && link.isReady(workerId))
      .map(({ workerId }) => workerId);
  }

  /** The worker of the only replica in sync, when it is the only one. */
  get sole(): WorkerId | undefined {
    return this.#sole;
  }

  /** Resolves when there is a replica to read from. Throws `unavailable`. */
  async readable(deadline: Deadline): Promise<void> {
    if (this.#sole !== undefined || this.readers().length > 0) return;
    await this.#inTime(deadline, this.#settle());
  }

  /** Resolves when replicas in sync that can be reached are compared. Throws `unavailable`. */
  async prove(deadline: Deadline): Promise<void> {
    if (!this.#isOpen) await this.#inTime(deadline, this.#settle());
  }

  // --- writes

  /**
   * Sends a write to all replicas in sync; resolves when it is on disk at each, with its version and
   * what the shard holds then. Throws what the replicas answered, `write_outcome_unknown`,
   * `ShardMoved`, and `unavailable` when fewer are in sync than have to be: then nothing is changed, or
   * not any more.
   */
  async write<N extends WriteName>(
    name: N,
    body: Unversioned<N>,
    vectors: Float32Array | undefined,
    deadline: Deadline,
  ): Promise<Written> {
    if (this.#order.brakeMs > 0) await this.#order.brake();
    while (!this.#isOpen) await this.#inTime(deadline, this.#order.pause ?? this.#settle());
    if (this.#retired) throw new ShardMoved();
    const members = this.#membersForWrite();
    const { clock, timing } = this.#deps;
    const startMs = clock.monotonicMs();
    const needed = this.writeConsistency;
    this.#order.rows += rowsOf(body);
    const { version, stable, come, end } = this.#order.begin(needed > 1);
    try {
      const undoable = needed > 1 && { undoable: { stable } };
      const request = { ...body, ...undoable, version, metered: this.meteredVersion ?? 0 };
      const attempts = members.map(({ workerId }) =>
        this.#send(workerId, name, request as Request<N>, vectors, deadline),
      );
      const round = { clock, lagMs: timing.lagMs, byFilter: isByFilter(body) };
      const outcomes = await gather(attempts, round);
      await come;
      if (come !== undefined && this.#order.told !== undefined) throw await this.#order.told;
      const written = this.#conclude(members, outcomes, version);
      const tookMs = clock.monotonicMs() - startMs;
      if (this.inSync.length < needed) throw await this.#takeBack(version - 1, tookMs);
      return written;
    } finally {
      end();
      this.#deps.wrote(this);
    }
  }

  get #isOpen(): boolean {
    if (this.#retired) return true;
    if (this.#order.pause !== undefined || this.#order.last === undefined) return false;
    return this.#replicas.every(({ state, proved }) => state === 'behind' || proved);
  }

  /** Those in sync. One that can not be reached leaves now, unless none can be. */
  #membersForWrite(): Replica[] {
    const { link } = this.#deps;
    const { inSync } = this;
    const away = inSync.filter(({ workerId }) => !link.isReady(workerId));
    const here = inSync.length - away.length;
    if (away.length > 0 && here > 0) this.#leave(away, 'it is not connected');
    const members = this.inSync;
    const needed = this.writeConsistency;
    if (members.length < needed) throw tooFewError(members.length, needed);
    return members;
  }

  async #send<N extends WriteName>(
    workerId: WorkerId,
    name: N,
    request: Request<N>,
    vectors: Float32Array | undefined,
    deadline: Deadline,
  ): Promise<Written> {
    const route = { shardId: this.shardId, workerId };
    // One that is alone is waited for; of several, one that is away or stopping leaves.
    const now = this.#sole === undefined;
    const { link } = this.#deps;
    return (await link.request(route, name, request, vectors, deadline, now)).body as Written;
  }

  #conclude(members: readonly Replica[], outcomes: Outcome[], version: number): Written {
    const verdict = judgeMembers(members, outcomes);
    if (verdict.kind === 'refused') {
      if (isStale(verdict.error)) this.#order.forget();
      throw verdict.error;
    }
    if (verdict.kind === 'unknown') {
      this.#doubtAll();
      throw verdict.error;
    }
    const { written, missing, strange } = verdict;
    if (missing.length > 0) this.#leave(missing, 'it did not write in time');
    if (strange.length > 0) this.#leave(strange, 'it holds something else after a write');
    this.#held = written;
    return written.repeated === undefined ? { ...written, version } : written;
  }

  /** What the callers of all writes above that version are told. */
  #takeBack(after: number, tookMs: number): Promise<AppError> {
    const told = this.#undo(after, tookMs);
    this.#order.undo(told);
    return told;
  }

  /**
   * Undoes what the replicas in sync have of the writes above that version. On each link it comes after
   * the last of them, and has longer than it. Who fails at it leaves when another has done it; when none
   * has, nobody knows.
   */
  async #undo(after: number, tookMs: number): Promise<AppError> {
    const { clock, timing, link, log } = this.#deps;
    const { shardId, inSync: members } = this;
    const upTo = must(this.#order.last, 'writes are under way');
    const deadline = Deadline.after(clock, timing.settleTimeoutMs + UNDO_SHARE * tookMs);
    const { said } = await answersOf(members, async ({ workerId }) => {
      const body = { after, upTo };
      const route = { shardId, workerId };
      return (await link.request(route, 'shard-undo', body, undefined, deadline, true)).body;
    });
    for (const replica of said.keys()) if (replica.state !== 'in_sync') said.delete(replica);
    const [first] = said.values();
    if (first === undefined) {
      this.#doubtAll();
      return new AppError('write_outcome_unknown');
    }
    const leaving = members.filter((replica) => {
      const written = said.get(replica);
      return replica.state === 'in_sync' && !(written && isSame(written, first));
    });
    if (leaving.length > 0) this.#leave(leaving, 'it did not undo a write', after);
    this.#held = first;
    log.event('writes_undone', { shardId, after, upTo });
    return tooFewError(this.inSync.length, this.writeConsistency);
  }

  /** Replicas have to be compared before they are used. */
  #doubtAll(): void {
    if (this.inSync.length > 1) for (const replica of this.inSync) replica.proved = false;
  }

  /**
   * Asks all replicas in sync for something that is no write of points; what the first of them says.
   * Who fails leaves when another has done it, and is brought to the same when it is levelled.
   */
  async all<N extends MessageName>(
    name: N,
    body: Request<N>,
    deadline: Deadline,
    vectors?: Float32Array,
  ): Promise<Reply<N>> {
    const members = this.#membersForWrite();
    const ask = async ({ workerId }: Replica) => {
      const route = { shardId: this.shardId, workerId };
      return (await this.#deps.link.request(route, name, body, vectors, deadline)).body;
    };
    const { said, failure } = await answersOf(members, ask);
    // Who has joined meanwhile was not asked yet.
    const late = await answersOf(
      this.inSync.filter((one) => !members.includes(one)),
      ask,
    );
    const [done] = said.values();
    if (done === undefined) throw failure;
    const { inSync } = this;
    const leaving = inSync.filter((one) => !said.has(one) && !late.said.has(one));
    const isOneLeft = leaving.length < inSync.length;
    if (leaving.length > 0 && isOneLeft) this.#leave(leaving, `it failed at ${name}`);
    return done;
  }

  #settle(): Promise<void> {
    this.#settling ??= this.#compareAll().finally(() => {
      this.#settling = undefined;
    });
    return this.#settling;
  }

  async #compareAll(): Promise<void> {
    const { clock, timing } = this.#deps;
    await presence(this.#deps, () => ({ inSync: this.inSync, arrival: this.#arrival.promise }));
    const deadline = Deadline.after(clock, timing.settleTimeoutMs);
    await this.exclusive(deadline.remainingMs(), async () => {
      const asked = this.inSync.filter(({ workerId }) => this.#deps.link.isReady(workerId));
      const { said, failure } = await answersOf(
        asked.length > 0 ? asked : this.inSync,
        ({ workerId }) => this.usage(workerId, deadline),
      );
      if (said.size === 0) throw failure;
      this.#goOnWith(said);
    });
  }

  /** What the replica at this worker holds once all writes that came to it have ended. */
  async usage(workerId: WorkerId, deadline: Deadline): Promise<Written> {
    const route = { shardId: this.shardId, workerId };
    return (await this.#deps.link.request(route, 'shard-usage', {}, undefined, deadline)).body;
  }

  /** The one of the highest version has every acknowledged write, and is what the shard is. */
  #goOnWith(said: ReadonlyMap<Replica, Written>): void {
    const { best, stay } = foremostOf(said);
    const leaving = this.inSync.filter((replica) => !stay.has(replica));
    const isMissing = leaving.some((replica) => !said.has(replica));
    this.#held = best;
    for (const { version } of said.values()) this.#order.raiseTo(version);
    if (leaving.length > 0) {
      // What was under way when it was last seen is not known: at most so many writes.
      const synced = Math.max(0, best.version - LIMITS.workerInFlightMax - 1);
      this.#leave(leaving, 'it does not hold what the others hold', synced);
    }
    if (isMissing) this.#order.raiseTo((this.#order.last ?? 0) + VERSION_LEAP);
    for (const replica of stay) replica.proved = true;
  }

  /**
   * Runs `change` while no write is under way and none begins. Throws `overloaded` when those under
   * way take longer than `waitMs`, and `ShardMoved`.
   */
  exclusive<T>(waitMs: number, change: () => Promise<T>): Promise<T> {
    return this.#order.exclusive(waitMs, async () => {
      if (this.#retired) throw new ShardMoved();
      return change();
    });
  }

  #leave(replicas: readonly Replica[], reason: string, syncedVersion = this.stableVersion): void {
    const { store, log, fellBehind } = this.#deps;
    const { shardId } = this;
    const leaving: Leaving[] = replicas.map(({ workerId }) => ({ workerId, syncedVersion }));
    store.leave(shardId, leaving);
    for (const replica of replicas) {
      Object.assign(replica, { state: 'behind', syncedVersion, proved: false });
      const { workerId } = replica;
      log.event('replica_left', { shardId, workerId, version: syncedVersion, reason });
      fellBehind(this, replica);
    }
    this.#changed();
  }

  /**
   * The replica holds what the one at `source` holds; to be called while no write is under way.
   * Throws `unavailable` when that one is itself no longer in sync.
   */
  join(replica: Replica, source: WorkerId): void {
    assert(this.#order.isIdle, 'no write is under way');
    if (!this.readers().includes(source)) throw awayError();
    this.#deps.store.join(this.shardId, replica.workerId);
    Object.assign(replica, { state: 'in_sync', syncedVersion: 0, proved: true });
    this.#changed();
    const { workerId } = replica;
    this.#deps.log.event('replica_joined', { shardId: this.shardId, workerId });
  }

  /** A new copy, which has nothing yet. */
  add(workerId: WorkerId): Replica {
    this.#deps.store.add(this.shardId, workerId);
    const replica = replicaOf({ workerId, state: 'behind', syncedVersion: 0 });
    this.#replicas = [...this.#replicas, replica];
    return replica;
  }

  /** Takes a copy away; another one at least is in sync. `place` is where its files are. */
  remove(replica: Replica, place: ShardPlace): void {
    const { workerId } = replica;
    this.#deps.store.remove({ shardId: this.shardId, workerId, place });
    this.#replicas = this.#replicas.filter((one) => one !== replica);
    // Writes under way do not wait for what it says.
    Object.assign(replica, { state: 'behind', proved: false });
    this.#changed();
  }

  get rowsWritten(): number {
    return this.#order.rows;
  }

  /** Each write waits so long before it begins, so that a replica that is behind can catch up with them. */
  slowDown(ms: number): void {
    this.#order.brakeMs = ms;
  }

  /** How far a replica has come that is behind. */
  progress(replica: Replica, syncedVersion: number): void {
    if (syncedVersion <= replica.syncedVersion) return;
    this.#deps.store.progress(this.shardId, replica.workerId, syncedVersion);
    replica.syncedVersion = syncedVersion;
  }

  #inTime<T>(deadline: Deadline, wait: Promise<T>): Promise<T> {
    return inTime(this.#deps.clock, deadline.remainingMs(), wait, awayError);
  }
}
