/**
 * Carries what shards have noted of their writes (`shared/protocol/meter.ts`) to the ledger:
 *
 *   write --> noted at each replica, in its commit
 *     |
 *     +--> a second later, and for every shard once after a start:
 *          meter-read of one replica in sync --> ledger: amounts and version in one transaction
 *                                                  \--> later writes tell the replicas what may go
 *
 * Only what is *decided* is carried: versions up to which each replica in sync has the same writes, which
 * no process's death can take back any more. What one replica alone may have is not.
 *
 * A replica that joins brings no notes: those it has from before are dropped when it is levelled, and what
 * the others have noted is carried while writes are paused for its joining. The same before other shards
 * take the place of one (`carryAll`), and before a shard is erased (`finish`).
 *
 * A shard of which it is not proved what its replicas hold is proved for that, but after a start not
 * before all its workers are there: who is missing then would leave those in sync.
 */
import type { Clock } from '../../shared/base/clock.ts';
import type { Deadline } from '../../shared/base/deadline.ts';
import type { ShardId, WorkerId } from '../../shared/base/ids.ts';
import { inTime } from '../../shared/base/in-time.ts';
import { Retries } from '../../shared/base/retries.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Log } from '../../shared/log/log.ts';
import type { MeteredSum } from '../../shared/protocol/meter.ts';
import type { ShardOwner } from '../ledger/entries.ts';
import type { Ledger } from '../ledger/ledger.ts';
import type { ReplicaPlacement } from '../store/replicas.ts';
import type { PageLink } from './copying/page-link.ts';
import { awayError } from './replicas/replica.ts';
import type { ReplicaSet } from './replicas/replica-set.ts';

export interface MeteringDeps {
  ledger: Pick<Ledger, 'append' | 'ask'>;
  pages: PageLink;
  /** Undefined when there is no such shard any more. */
  ownerOf: (shardId: ShardId) => ShardOwner | undefined;
  /** See `ReplicationTiming`. */
  carryAfterMs: number;
  clock: Clock;
  log: Log;
}

interface Source {
  shardId: ShardId;
  owner: ShardOwner;
  workerId: WorkerId;
  /** Undefined when nobody joins or leaves any more. */
  set?: ReplicaSet;
}

interface Span {
  after: number;
  upTo: number;
  /** Nothing will be written to the shard any more. */
  isLast: boolean;
  deadline?: Deadline;
}

/** Shards that are carried at once. */
const CARRIED_MAX = 4;
/** Shards of which nobody has asked since the start, taken up at a time. */
const SWEPT_MAX = 64;

/** Errors by which a worker says that it can not read a shard's files. */
const UNREADABLE: ReadonlySet<string> = new Set(['shard_damaged', 'shard_quarantined']);

/** What is known of a shard that nobody writes to any more. */
export interface Finished {
  /** How many it has; undefined when it was finished before, or can not be read. */
  points: number | undefined;
}

export class Metering {
  readonly #deps: MeteringDeps;
  /** Shards that have been written to. */
  readonly #due = new Set<ReplicaSet>();
  /** Shards that were not looked at since the start. */
  #unswept: ReplicaSet[] = [];
  /** By shard; the last of those that carry it, one after the other. */
  readonly #carrying = new Map<ShardId, Promise<void>>();
  readonly #failed = new Map<ShardId, ReplicaSet>();
  readonly #retries: Retries<ShardId>;
  #cancel: (() => void) | undefined;
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(deps: MeteringDeps) {
    this.#deps = deps;
    this.#retries = new Retries(deps.clock, (shardId) => {
      const set = this.#failed.get(shardId);
      this.#failed.delete(shardId);
      if (set !== undefined) this.wrote(set);
    });
  }

  /** Takes up what these shards noted before. */
  start(sets: Iterable<ReplicaSet>): void {
    this.#unswept.push(...sets);
    this.#schedule();
  }

  /** A write of the shard has ended, one way or other. */
  wrote(set: ReplicaSet): void {
    if (this.#due.has(set)) return;
    this.#due.add(set);
    this.#schedule();
  }

  /** Ends what is under way; what is left is carried after the next start. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel?.();
    this.#retries.close();
    await this.#running;
  }

  #schedule(): void {
    if (this.#closed || this.#running !== undefined) return;
    this.#cancel ??= this.#deps.clock.after(this.#deps.carryAfterMs, () => {
      this.#cancel = undefined;
      this.#running = this.#carrySome().finally(() => {
        this.#running = undefined;
        if (this.#due.size > 0 || this.#unswept.length > 0) this.#schedule();
      });
    });
  }

  /** Never rejects. */
  async #carrySome(): Promise<void> {
    const sets = [...this.#due, ...this.#takeSwept()];
    this.#due.clear();
    const next = async () => {
      for (let set = sets.pop(); set !== undefined && !this.#closed; set = sets.pop()) {
        await this.#tryCarry(set);
      }
    };
    await Promise.all(Array.from({ length: CARRIED_MAX }, next));
  }

  #takeSwept(): ReplicaSet[] {
    const { pages } = this.#deps;
    const isReady = ({ inSync }: ReplicaSet) => {
      return inSync.every(({ workerId }) => pages.isReady(workerId));
    };
    const swept: ReplicaSet[] = [];
    this.#unswept = this.#unswept.filter((set) => {
      if (swept.length >= SWEPT_MAX || !isReady(set)) return true;
      swept.push(set);
      return false;
    });
    return swept;
  }

  async #tryCarry(set: ReplicaSet): Promise<void> {
    const { shardId } = set;
    try {
      await this.carry(set);
      this.#retries.settle(shardId);
    } catch (error) {
      if (this.#closed || this.#deps.ownerOf(shardId) === undefined) return;
      const next = this.#retries.retry(shardId);
      if (next === undefined) return;
      this.#failed.set(shardId, set);
      const { attempts: attempt, delayMs } = next;
      this.#deps.log.event('metering_failed', { shardId, attempt, delayMs, error });
    }
  }

  /** Carries what is decided. Throws what workers answer, and what the ledger does. */
  async carry(set: ReplicaSet): Promise<void> {
    const { pages } = this.#deps;
    const deadline = pages.deadline();
    // Whoever pauses its writes to carry all of it must not find that this waits for the pause to end.
    do {
      while (set.decidedVersion === undefined) await set.prove(deadline);
    } while (!(await this.#inTurn(set.shardId, () => this.#carryDecided(set))));
  }

  /** False when it is to be proved once more what that is. */
  async #carryDecided(set: ReplicaSet): Promise<boolean> {
    const { shardId } = set;
    const owner = this.#deps.ownerOf(shardId);
    if (owner === undefined) return true;
    const after = await this.#carried(set);
    // Both of the same moment: later this worker may not be one of those any more.
    const upTo = set.decidedVersion;
    const [workerId] = set.readers();
    if (upTo === undefined) return false;
    if (workerId === undefined) throw awayError();
    const span = { after, upTo, isLast: false };
    set.meteredVersion = await this.#span({ shardId, owner, workerId, set }, span);
    return true;
  }

  /** The same of everything, while writes are paused. Throws when that takes longer. */
  async carryAll(set: ReplicaSet, workerId: WorkerId, paused: Deadline): Promise<void> {
    const { shardId, lastVersion: upTo } = set;
    const owner = this.#deps.ownerOf(shardId);
    if (owner === undefined || upTo === undefined) throw awayError();
    const carried = this.#inTurn(shardId, async () => {
      if (paused.expired) throw lateError();
      const after = await this.#carried(set);
      const span = { after, upTo, isLast: false, deadline: paused };
      set.meteredVersion = await this.#span({ shardId, owner, workerId, set }, span);
    });
    await inTime(this.#deps.clock, paused.remainingMs(), carried, lateError);
  }

  /**
   * Carries the last notes of a shard that nobody writes to any more; again it does nothing. Answers what it has
   * found; undefined when no replica in sync can be reached. What can not be read any more is given up.
   */
  finish(
    shardId: ShardId,
    owner: ShardOwner,
    replicas: readonly ReplicaPlacement[],
  ): Promise<Finished | undefined> {
    return this.#inTurn(shardId, async () => {
      const { ledger, pages, log } = this.#deps;
      const { version: after, closed } = await ledger.ask('shard', shardId);
      if (closed) return { points: undefined };
      const inSync = replicas.filter(({ state }) => state === 'in_sync');
      const reached = inSync.filter(({ workerId }) => pages.isReady(workerId));
      let unreadable: unknown;
      for (const { workerId } of reached) {
        const source = { shardId, owner, workerId };
        try {
          // It answers when all writes that ever came to it have ended.
          const { body } = await pages.ask({ shardId, workerId }, 'shard-usage', {});
          await this.#span(source, { after, upTo: body.version, isLast: true });
          return { points: body.points };
        } catch (error) {
          if (!(error instanceof AppError) || !UNREADABLE.has(error.code)) throw error;
          unreadable = error;
        }
      }
      if (unreadable === undefined || reached.length < inSync.length) return undefined;
      log.event('metering_lost', { shardId, version: after, error: unreadable });
      await this.#append({ shardId, owner }, { after, upTo: after, sums: [], isLast: true });
      return { points: undefined };
    });
  }

  /** The ledger need not know how far it came with shards that are gone. Never rejects: it costs a row. */
  async forget(shardIds: readonly ShardId[]): Promise<void> {
    const { ledger, log } = this.#deps;
    try {
      await ledger.append({ kind: 'forget', shardIds });
    } catch (error) {
      const [shardId = ''] = shardIds;
      if (!this.#closed) log.event('metering_failed', { shardId, attempt: 1, delayMs: 0, error });
    }
  }

  async #carried(set: ReplicaSet): Promise<number> {
    return set.meteredVersion ?? (await this.#deps.ledger.ask('shard', set.shardId)).version;
  }

  /**
   * Answers how far it has come. One that is not in sync any more may be levelled, and have dropped its notes:
   * what it says then is not taken. It can not have joined again meanwhile, for that waits for its turn here.
   */
  async #span(source: Source, { after, upTo, isLast, deadline }: Span): Promise<number> {
    const { pages } = this.#deps;
    const { shardId, workerId, set } = source;
    const at = { shardId, workerId };
    let reached = after;
    for (;;) {
      const wanted = { after: reached, upTo };
      const { body } = await pages.ask(at, 'meter-read', wanted, undefined, deadline);
      if (set?.readers().includes(workerId) === false) throw awayError();
      const { sums, more } = body;
      const span = { after: reached, upTo: body.upTo, sums, isLast: isLast && !more };
      if (sums.length > 0 || span.isLast) await this.#append(source, span);
      reached = body.upTo;
      if (!more) return reached;
    }
  }

  async #append(
    { shardId, owner }: Omit<Source, 'workerId'>,
    { after, upTo, sums, isLast }: Omit<Span, 'deadline'> & { sums: MeteredSum[] },
  ): Promise<void> {
    const { clientId, mode, namespace } = owner;
    const whose = { shardId, owner: { clientId, mode, namespace } };
    const entry = { kind: 'writes' as const, ...whose, after, upTo, sums, isLast };
    await this.#deps.ledger.append(entry, { urgent: true });
  }

  /** One after the other; a failure is that of its caller alone. */
  #inTurn<T>(shardId: ShardId, run: () => Promise<T>): Promise<T> {
    const before = this.#carrying.get(shardId) ?? Promise.resolve();
    const own = before.then(run);
    const ended = own.then(
      () => undefined,
      () => undefined,
    );
    this.#carrying.set(shardId, ended);
    void ended.then(() => {
      if (this.#carrying.get(shardId) === ended) this.#carrying.delete(shardId);
    });
    return own;
  }
}

function lateError(): AppError {
  return new AppError('overloaded', 'the ledger takes too long');
}
