/**
 * The way of pages between workers. One page at a time is under way for whoever copies or compares,
 * and after each the two workers get as long for others as the page took.
 */
import type { Clock } from '../../../shared/base/clock.ts';
import { Deadline } from '../../../shared/base/deadline.ts';
import type { ShardId, WorkerId } from '../../../shared/base/ids.ts';
import { AppError } from '../../../shared/errors/app-error.ts';
import type {
  MessageName,
  Reply,
  Request,
  WithVectors,
} from '../../../shared/protocol/messages.ts';
import type { WorkerLink } from '../../worker-link/worker-link.ts';
import { awayError } from '../replicas/replica.ts';
import type { ReplicaSet } from '../replicas/replica-set.ts';

export interface PageLinkDeps {
  link: Pick<WorkerLink, 'request' | 'isReady'>;
  clock: Clock;
}

/** For one page; a worker may have to open the shard first. */
const PAGE_TIMEOUT_MS = 30_000;
/** For a look at all of a shard, at a millisecond a megabyte, and after others in line. */
const VERIFY_TIMEOUT_MS = 600_000;

export class PageLink {
  readonly #deps: PageLinkDeps;
  #stopped = false;

  constructor(deps: PageLinkDeps) {
    this.#deps = deps;
  }

  /** Nothing is asked from now on. */
  stop(): void {
    this.#stopped = true;
  }

  isReady(workerId: WorkerId): boolean {
    return this.#deps.link.isReady(workerId);
  }

  /** As `WorkerLink.request`, and `unavailable` at once when the worker is away. */
  async ask<N extends MessageName>(
    at: { shardId: ShardId; workerId: WorkerId },
    name: N,
    body: Request<N>,
    vectors?: Float32Array,
    deadline = this.deadline(),
  ): Promise<WithVectors<Reply<N>>> {
    const { link } = this.#deps;
    if (this.#stopped) throw new AppError('shutting_down');
    if (!link.isReady(at.workerId)) throw new AppError('unavailable', 'a worker is away');
    return link.request(at, name, body, vectors, deadline);
  }

  /** A worker that answers reads of the shard. Throws `unavailable`. */
  async readerOf(set: Pick<ReplicaSet, 'readable' | 'readers'>): Promise<WorkerId> {
    await set.readable(this.deadline());
    const [reader] = set.readers();
    if (reader === undefined) throw awayError();
    return reader;
  }

  /** Has the worker look whether its copy is sound as a whole. Throws `shard_damaged` when it is not. */
  async verify(at: { shardId: ShardId; workerId: WorkerId }): Promise<void> {
    const deadline = Deadline.after(this.#deps.clock, VERIFY_TIMEOUT_MS);
    await this.ask(at, 'shard-verify', {}, undefined, deadline);
  }

  /** Lets others go on for as long as the time since `startMs`. */
  async restSince(startMs: number): Promise<void> {
    await this.rest(this.nowMs - startMs);
  }

  async rest(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#deps.clock.after(ms, resolve);
    await promise;
  }

  get nowMs(): number {
    return this.#deps.clock.monotonicMs();
  }

  deadline(): Deadline {
    return Deadline.after(this.#deps.clock, PAGE_TIMEOUT_MS);
  }
}
