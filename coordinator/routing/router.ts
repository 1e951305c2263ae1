/**
 * Names the worker for a request and for a new shard. Which worker holds a shard stands in
 * `control.db` and comes in with the route; who is connected is the worker link's knowledge.
 */
import type { Deadline } from '../../shared/base/deadline.ts';
import type { WorkerId } from '../../shared/base/ids.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { MessageName, Reply, Request, WithVectors } from '../../shared/protocol/messages.ts';
import type { Route, WorkerLink } from '../worker-link/worker-link.ts';

export type { Route } from '../worker-link/worker-link.ts';

export interface WorkerState {
  workerId: WorkerId;
  connected: boolean;
  /** Shards placed on it. */
  shards: number;
  /** Requests waiting for it or sent to it. */
  inFlight: number;
}

export interface RouterDeps {
  link: Pick<WorkerLink, 'request' | 'connected' | 'inFlight' | 'onConnect'>;
  /** Shards of every worker ever seen, from the store; a worker without shards may be missing. */
  shardCounts: () => ReadonlyMap<WorkerId, number>;
}

export class Router {
  readonly #link: RouterDeps['link'];
  readonly #shardCounts: RouterDeps['shardCounts'];

  constructor(deps: RouterDeps) {
    this.#link = deps.link;
    this.#shardCounts = deps.shardCounts;
  }

  /** Asks the worker that holds the shard. Errors are those of `WorkerLink.request`. */
  request<N extends MessageName>(
    route: Route,
    name: N,
    body: Request<N>,
    vectors: Float32Array | undefined,
    deadline: Deadline,
  ): Promise<WithVectors<Reply<N>>> {
    return this.#link.request(route, name, body, vectors, deadline);
  }

  /**
   * The worker for a new shard: the connected one that holds the fewest, the smaller id among
   * equals. Throws `unavailable` when none is connected.
   */
  place(): WorkerId {
    const counts = this.#shardCounts();
    let best: { workerId: WorkerId; shards: number } | undefined;
    for (const workerId of this.#link.connected().toSorted()) {
      const shards = counts.get(workerId) ?? 0;
      if (best === undefined || shards < best.shards) best = { workerId, shards };
    }
    if (best === undefined) throw new AppError('unavailable', 'no worker is connected; try again');
    return best.workerId;
  }

  /** Workers that can be asked at this moment. */
  connected(): WorkerId[] {
    return this.#link.connected();
  }

  /** Every worker that holds a shard or is connected, by id. */
  workers(): WorkerState[] {
    const counts = this.#shardCounts();
    const connected = new Set(this.#link.connected());
    return [...new Set([...counts.keys(), ...connected])].toSorted().map((workerId) => ({
      workerId,
      connected: connected.has(workerId),
      shards: counts.get(workerId) ?? 0,
      inFlight: this.#link.inFlight(workerId),
    }));
  }

  /** Calls `listener` whenever a worker has connected. */
  onConnect(listener: (workerId: WorkerId) => void): void {
    this.#link.onConnect(listener);
  }
}
