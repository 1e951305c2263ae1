/**
 * The way of a request to the workers. A read goes to one replica in sync, of those whose workers are
 * well to the one with the least to do; when that is lost, overloaded or stopping the next one is
 * asked, and its caller notices nothing. When an answer is long in coming a second replica is asked,
 * too, and whoever answers first is heard (Dean & Barroso, The Tail at Scale, CACM 56(2), 2013);
 * such hedges are a small part of all reads at most, so that they can not double the load of a
 * cluster that is slow because it is busy. They do not count when the first worker is in doubt: then it
 * is looked for another one until there is one.
 *
 * A write goes to all replicas in sync (`cluster/replicas/replica-set.ts`).
 */
import type { Clock } from '../../shared/base/clock.ts';
import type { Deadline } from '../../shared/base/deadline.ts';
import type { ShardId, WorkerId } from '../../shared/base/ids.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type {
  MessageName,
  Reply,
  Request,
  Unversioned,
  WithVectors,
  WriteName,
} from '../../shared/protocol/messages.ts';
import type { Written } from '../../shared/protocol/schema.ts';
import type { Route, WorkerLink } from '../worker-link/worker-link.ts';

export type { Route } from '../worker-link/worker-link.ts';

/** What routing has to know of a shard: its replicas. */
export interface RoutedSet {
  write<N extends WriteName>(
    name: N,
    body: Unversioned<N>,
    vectors: Float32Array | undefined,
    deadline: Deadline,
  ): Promise<Written>;
  /** Workers that may answer a read now. */
  readers(): WorkerId[];
  /** Resolves when there is one, or when the only one in sync is worth waiting for. */
  readable(deadline: Deadline): Promise<void>;
  /** The worker of the only replica in sync. */
  readonly sole: WorkerId | undefined;
}

export interface RouterDeps {
  link: Pick<WorkerLink, 'request' | 'begin' | 'connected' | 'inFlight' | 'onConnect'>;
  setOf: (shardId: ShardId) => RoutedSet;
  health: {
    isDoubtful(workerId: WorkerId): boolean;
    answered(workerId: WorkerId): void;
    lostRace(workerId: WorkerId): void;
  };
  clock: Clock;
  /** How long the answer to a read may take before another replica is asked, too. */
  hedgeMs: number;
}

/** Errors of one replica that another may not have. */
const ELSEWHERE = new Set([
  'unavailable',
  'overloaded',
  'shutting_down',
  'internal',
  'shard_damaged',
  'shard_quarantined',
]);

/** Longer than nearly all searches take, shorter than anybody notices. */
export const HEDGE_MS = 100;

/** How often all replicas are asked again when they were lost under a read. */
const ROUNDS_MAX = 5;

/** Of all reads, so many may be hedged; and so many at once after a quiet time. */
const HEDGE_SHARE = 0.1;
const HEDGES_MAX = 64;

type Answer<N extends MessageName> = WithVectors<Reply<N>>;

interface Question<N extends MessageName> {
  shardId: ShardId;
  name: N;
  body: Request<N>;
  vectors: Float32Array | undefined;
  deadline: Deadline;
}

export class Router {
  readonly #deps: RouterDeps;
  #hedges = HEDGES_MAX;
  #turn = 0;

  constructor(deps: RouterDeps) {
    this.#deps = deps;
  }

  /** Asks the replica at one worker. Errors are those of `WorkerLink.request`. */
  ask<N extends MessageName>(
    route: Route,
    name: N,
    body: Request<N>,
    vectors: Float32Array | undefined,
    deadline: Deadline,
  ): Promise<Answer<N>> {
    return this.#deps.link.request(route, name, body, vectors, deadline);
  }

  /** Has all replicas in sync write. Errors are those of `ReplicaSet.write`. */
  write<N extends WriteName>(
    { shardId }: { shardId: ShardId },
    name: N,
    body: Unversioned<N>,
    vectors: Float32Array | undefined,
    deadline: Deadline,
  ): Promise<Written> {
    return this.#deps.setOf(shardId).write(name, body, vectors, deadline);
  }

  /** Asks any replica in sync. Errors are those of `WorkerLink.request`. */
  read<N extends MessageName>(
    { shardId }: { shardId: ShardId },
    name: N,
    body: Request<N>,
    vectors: Float32Array | undefined,
    deadline: Deadline,
  ): Promise<Answer<N>> {
    const set = this.#deps.setOf(shardId);
    const { sole } = set;
    const question = { shardId, name, body, vectors, deadline };
    return sole === undefined ? this.#readAny(set, question) : this.#askSole(sole, question);
  }

  /** There is nobody else to ask, so it waits for its worker if need be. */
  #askSole<N extends MessageName>(
    workerId: WorkerId,
    { shardId, name, body, vectors, deadline }: Question<N>,
  ): Promise<Answer<N>> {
    return this.#deps.link.request({ shardId, workerId }, name, body, vectors, deadline);
  }

  async #readAny<N extends MessageName>(set: RoutedSet, question: Question<N>): Promise<Answer<N>> {
    const tried = new Set<WorkerId>();
    let failure: unknown;
    for (let round = 0; ; ) {
      if (set.sole !== undefined) return this.#askSole(set.sole, question);
      const workerId = this.#best(set, tried);
      if (workerId === undefined) {
        if (isOverloaded(failure) || round === ROUNDS_MAX) throw failure;
        await set.readable(question.deadline);
        round += 1;
        tried.clear();
        continue;
      }
      tried.add(workerId);
      try {
        return await this.#race(workerId, set, tried, question);
      } catch (error) {
        if (!(error instanceof AppError && ELSEWHERE.has(error.code))) throw error;
        failure = error;
      }
    }
  }

  /** The one with the least to do, suspects last; those that have as little take turns. */
  #best(set: RoutedSet, tried: ReadonlySet<WorkerId>): WorkerId | undefined {
    const { health, link } = this.#deps;
    const workers = set.readers().filter((workerId) => !tried.has(workerId));
    if (workers.length < 2) return workers[0];
    const well = workers.filter((workerId) => !health.isDoubtful(workerId));
    const choice = well.length > 0 ? well : workers;
    this.#turn = (this.#turn + 1) % 2 ** 30;
    let best = choice[this.#turn % choice.length];
    for (const workerId of choice) {
      if (best === undefined || link.inFlight(workerId) < link.inFlight(best)) best = workerId;
    }
    return best;
  }

  /** Asks one, and a second one when the first takes long. */
  async #race<N extends MessageName>(
    workerId: WorkerId,
    set: RoutedSet,
    tried: Set<WorkerId>,
    question: Question<N>,
  ): Promise<Answer<N>> {
    const { health } = this.#deps;
    this.#hedges = Math.min(HEDGES_MAX, this.#hedges + HEDGE_SHARE);
    const first = this.#begin(workerId, question);
    let other: WorkerId | undefined;
    while (other === undefined) {
      const early = await this.#early(first.answer);
      if (early !== undefined) {
        health.answered(workerId);
        return early;
      }
      const mayHedge = this.#hedges >= 1 || health.isDoubtful(workerId);
      if (mayHedge) other = this.#best(set, tried);
    }
    this.#hedges = Math.max(0, this.#hedges - 1);
    tried.add(other);
    const second = this.#begin(other, question);
    const won = second.answer.then((answer) => {
      health.lostRace(workerId);
      return answer;
    });
    try {
      return await Promise.any([first.answer, won]);
    } catch (error) {
      throw (error as AggregateError).errors[0];
    } finally {
      // Who has answered is not disturbed by it.
      first.cancel();
      second.cancel();
    }
  }

  /** The answer, or undefined when it is not there in time. */
  async #early<T>(answer: Promise<T>): Promise<T | undefined> {
    const { clock, hedgeMs } = this.#deps;
    const { promise: slow, resolve } = Promise.withResolvers<undefined>();
    const cancel = clock.after(hedgeMs, () => resolve(undefined));
    return Promise.race([answer, slow]).finally(cancel);
  }

  #begin<N extends MessageName>(workerId: WorkerId, question: Question<N>) {
    const { shardId, name, body, vectors, deadline } = question;
    return this.#deps.link.begin({ shardId, workerId }, name, body, vectors, deadline, true);
  }

  /** Workers that can be asked at this moment. */
  connected(): WorkerId[] {
    return this.#deps.link.connected();
  }

  /** Calls `listener` whenever a worker has connected. */
  onConnect(listener: (workerId: WorkerId) => void): void {
    this.#deps.link.onConnect(listener);
  }
}

function isOverloaded(error: unknown): boolean {
  return error instanceof AppError && error.code === 'overloaded';
}
