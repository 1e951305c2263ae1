/**
 * The accounts of all clients (`usage-account.ts`), kept right with the shards. A coordinator that
 * starts knows none: the first write of a client that may grow a shard has all of the client's
 * shards of that mode asked, and waits for that. From then on the answers to writes keep the account; a
 * shard is asked again only when an outcome was lost there and the room that is left depends on it.
 *
 * A shard whose worker is away counts with what was last heard of it, else with nothing, so that
 * writes to others go on; it is asked when its worker returns. For one that is not connected nobody
 * waits long, but for right after a start: then all workers are about to dial and their shards to prove
 * themselves, and who does not answer is asked again until he does, or the time for it is over.
 */
import type { Clock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import type { ClientId, ShardId, WorkerId } from '../../shared/base/ids.ts';
import type { Mode } from '../../shared/domain/collection.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Log } from '../../shared/log/log.ts';
import { type Held, type ShardUsage, UsageAccount } from './usage-account.ts';

/** Whose quota it is: a client's live and test data are counted apart. */
export interface UsageOwner {
  clientId: ClientId;
  mode: Mode;
}

/** Those of a collection. */
interface Placed extends UsageOwner {
  shards: readonly { shardId: ShardId }[];
}

export interface ClientUsageDeps {
  /** All shards of an owner's collections. */
  shardsOf: (owner: UsageOwner) => { shardId: ShardId }[];
  /** What the shard holds once all writes that were sent to it have ended. */
  ask: (shardId: ShardId, deadline: Deadline) => Promise<Held>;
  /** The worker that would be asked: one that is connected, if one of those that hold it is. */
  holderOf: (shardId: ShardId) => WorkerId;
  /** Workers that can be asked at this moment. */
  connected: () => WorkerId[];
  clock: Clock;
  log: Log;
}

/** Shards of one client that are asked at once: a worker reads a few small rows for each. */
const ASKS_AT_ONCE = 16;
/** A worker that is connected and has not answered by then is late. */
const ASK_TIMEOUT_MS = 5_000;
/** One that is not connected is away then: it may be about to return from a restart, and a write that
 * needs none of its shards should not notice. */
const AWAY_TIMEOUT_MS = 500;
/** From the start on: a worker that lost its coordinator pauses for two seconds at most before it dials
 * again, and may need some more on a machine where everything starts at once. Else the first writes
 * after a start would find room that is not there. */
const START_GRACE_MS = 10_000;
const GRACE_PAUSE_MS = 100;
/** After an answer that is none. */
const ASK_PAUSE_MS = 5_000;

interface Entry {
  readonly account: UsageAccount;
  /** Whether all live shards were taken into the account. */
  listed: boolean;
  /** When shards that were never heard of are to be asked; infinite when there is none. */
  askAtMs: number;
  asking: Promise<void> | undefined;
}

/** One time of asking. */
interface Round {
  account: UsageAccount;
  failures: unknown[];
  /** Workers that are connected and did not answer in time. */
  late: Set<WorkerId>;
}

export class ClientUsage {
  readonly #deps: ClientUsageDeps;
  readonly #owners = new Map<string, Entry>();
  /** Workers that were waited for in vain, until they come. */
  readonly #away = new Set<WorkerId>();
  /** In monotonic time. */
  readonly #graceEndMs: number;

  constructor(deps: ClientUsageDeps) {
    this.#deps = deps;
    this.#graceEndMs = deps.clock.monotonicMs() + START_GRACE_MS;
  }

  /** The client's account as it is, perhaps without its shards. */
  account(owner: UsageOwner): UsageAccount {
    return this.#of(owner).account;
  }

  /** Whether `ask` comes before the account may be relied on: a look at a number, for each write. */
  mustAsk(owner: UsageOwner): boolean {
    const { askAtMs } = this.#of(owner);
    return askAtMs !== Number.POSITIVE_INFINITY && askAtMs <= this.#deps.clock.monotonicMs();
  }

  /** Whether asking could tell what is not known for sure. */
  mayAsk(owner: UsageOwner): boolean {
    return this.#due(this.#of(owner)).length > 0;
  }

  /**
   * Asks the shards of which something is not known; resolves when all have answered or are taken
   * to be away. Whoever comes meanwhile waits for the same answers. Never rejects.
   */
  ask(owner: UsageOwner): Promise<void> {
    const entry = this.#of(owner);
    entry.asking ??= this.#askAll(owner, entry).finally(() => {
      entry.asking = undefined;
    });
    return entry.asking;
  }

  /** A collection was made; its shards are empty. */
  created({ shards, ...owner }: Placed): void {
    const { account } = this.#of(owner);
    for (const { shardId } of shards) account.add(shardId, 'empty');
  }

  /** A collection is gone for its client. */
  dropped({ shards, ...owner }: Placed): void {
    const account = this.#owners.get(keyOf(owner))?.account;
    for (const { shardId } of shards) account?.drop(shardId);
  }

  /** A collection's points are in other shards now, which hold so much. */
  resharded({ shards, ...owner }: Placed, into: ReadonlyMap<ShardId, Held>): void {
    const { account } = this.#of(owner);
    for (const { shardId } of shards) account.drop(shardId);
    for (const [shardId, held] of into) {
      account.add(shardId, 'empty');
      const shard = account.shard(shardId);
      if (shard !== undefined) account.learn(shard, held);
    }
  }

  /** Points of a collection; undefined while one of its shards has not said what it holds. */
  pointsOf({ shards, ...owner }: Placed): number | undefined {
    const account = this.#owners.get(keyOf(owner))?.account;
    let points = 0;
    for (const { shardId } of shards) {
      const known = account?.shard(shardId)?.known;
      if (known === undefined) return undefined;
      points += known.points;
    }
    return points;
  }

  /** The client is gone. */
  forget(clientId: ClientId): void {
    for (const mode of ['live', 'test'] as const) this.#owners.delete(keyOf({ clientId, mode }));
  }

  /** Its shards can be asked again. */
  workerCame(workerId: WorkerId): void {
    this.#away.delete(workerId);
    for (const entry of this.#owners.values()) {
      for (const shard of entry.account.unsure) {
        if (this.#deps.holderOf(shard.shardId) === workerId) shard.askAtMs = 0;
      }
      if (entry.listed) entry.askAtMs = askAtMs(entry.account);
    }
  }

  #of(owner: UsageOwner): Entry {
    const key = keyOf(owner);
    let entry = this.#owners.get(key);
    if (entry === undefined) {
      const account = new UsageAccount();
      entry = { account, listed: false, askAtMs: 0, asking: undefined };
      this.#owners.set(key, entry);
    }
    return entry;
  }

  #due({ account }: Entry): ShardUsage[] {
    if (account.unsure.size === 0) return [];
    const nowMs = this.#deps.clock.monotonicMs();
    return [...account.unsure].filter((shard) => shard.askAtMs <= nowMs);
  }

  async #askAll(owner: UsageOwner, entry: Entry): Promise<void> {
    const { account } = entry;
    if (!entry.listed) {
      for (const { shardId } of this.#deps.shardsOf(owner)) account.add(shardId, 'unknown');
      entry.listed = true;
    }
    const due = this.#due(entry);
    const round: Round = { account, failures: [], late: new Set() };
    const shards = due.values();
    const askSome = async () => {
      for (const shard of shards) await this.#askOne(shard, round);
    };
    const atOnce = Math.min(ASKS_AT_ONCE, due.length);
    await Promise.all(Array.from({ length: atOnce }, askSome));
    entry.askAtMs = askAtMs(account);
    const [error] = round.failures;
    if (error === undefined) return;
    const { clientId } = owner;
    const fields = { clientId, shards: round.failures.length, error };
    this.#deps.log.event('usage_unknown', fields);
  }

  async #askOne(shard: ShardUsage, { account, failures, late }: Round): Promise<void> {
    const { clock, ask, connected, holderOf } = this.#deps;
    // Its collection may be deleted meanwhile.
    while (!shard.dropped) {
      const workerId = holderOf(shard.shardId);
      const before = { doubt: { ...shard.doubt }, lostCount: shard.lostCount };
      try {
        // A worker that does not answer costs its time once, not for each of its shards.
        if (this.#away.has(workerId) || late.has(workerId)) throw new AppError('unavailable');
        const deadline = Deadline.after(clock, this.#patienceMs(workerId));
        account.settle(shard, await ask(shard.shardId, deadline), before);
        return;
      } catch (error) {
        if (this.#isStarting) {
          await new Promise<void>((resolve) => clock.after(GRACE_PAUSE_MS, resolve));
          continue;
        }
        failures.push(error);
        const isAway = !connected().includes(workerId);
        if (isAway) this.#away.add(workerId);
        else if (isLate(error)) late.add(workerId);
        // One that is away is asked when it comes (`workerCame`).
        shard.askAtMs = isAway ? Number.POSITIVE_INFINITY : clock.monotonicMs() + ASK_PAUSE_MS;
        return;
      }
    }
  }

  get #isStarting(): boolean {
    return this.#deps.clock.monotonicMs() < this.#graceEndMs;
  }

  #patienceMs(workerId: WorkerId): number {
    const { clock, connected } = this.#deps;
    if (connected().includes(workerId)) return ASK_TIMEOUT_MS;
    return Math.max(AWAY_TIMEOUT_MS, this.#graceEndMs - clock.monotonicMs());
  }
}

function isLate(error: unknown): boolean {
  return error instanceof AppError && error.code === 'deadline_exceeded';
}

function keyOf({ clientId, mode }: UsageOwner): string {
  return `${clientId}/${mode}`;
}

/** When the first of the shards that were never heard of can be asked. */
function askAtMs(account: UsageAccount): number {
  let first = Number.POSITIVE_INFINITY;
  for (const shard of account.unsure) if (!shard.asked) first = Math.min(first, shard.askAtMs);
  return first;
}
