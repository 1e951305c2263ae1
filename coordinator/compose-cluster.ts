/** Builds what holds the workers and the replicas of all shards together. */
import type { ClientId, ShardId, WorkerId } from '../shared/base/ids.ts';
import type { Shutdown } from '../shared/base/shutdown.ts';
import type { Log } from '../shared/log/log.ts';
import { Cluster } from './cluster/cluster.ts';
import { Moves } from './cluster/placing/moves.ts';
import { placeShards } from './cluster/placing/placement.ts';
import { REPLICATION_TIMING } from './cluster/replicas/timing.ts';
import { HEALTH_TIMING, WorkerHealth } from './cluster/workers/worker-health.ts';
import { WorkerLoads } from './cluster/workers/worker-loads.ts';
import { Workforce } from './cluster/workers/workforce.ts';
import type { CoordinatorDeps, Fleet } from './compose-parts.ts';
import type { DataPlane } from './data-plane/data-plane.ts';
import type { Ledger } from './ledger/ledger.ts';
import { HEDGE_MS, Router } from './routing/router.ts';
import type { ControlStore } from './store/control-store.ts';
import type { WorkerLink } from './worker-link/worker-link.ts';

/** When a worker was seen last is for people: a disk that is full or fails must neither end this process nor
 * keep a worker out. */
export function noteSeen(store: ControlStore, link: WorkerLink, log: Log): void {
  const seen = (workerId: WorkerId) => {
    try {
      store.workers.seen(workerId);
    } catch (error) {
      log.event('unexpected_error', { place: 'worker seen', error });
    }
  };
  link.onConnect(seen);
  link.onLoss(seen);
}

export function composeCluster(
  parts: CoordinatorDeps & { store: ControlStore; ledger: Ledger; link: WorkerLink },
  shutdown: Shutdown,
): Fleet {
  const { store, ledger, link, clock, log } = parts;
  const health = new WorkerHealth({
    isSilent: (workerId) => link.isSilent(workerId),
    hasAnswered: (workerId) => link.hasAnswered(workerId),
    timing: HEALTH_TIMING,
    clock,
    log,
  });
  for (const { workerId, draining } of store.workers.all()) if (draining) health.drain(workerId);
  link.onConnect((workerId) => health.connected(workerId));
  link.onLoss((workerId) => health.disconnected(workerId));
  health.start();
  shutdown.add('worker health', health);
  const timing = REPLICATION_TIMING;
  const cluster = new Cluster({ link, store: store.replicas, ledger, clock, log, timing });
  shutdown.add('cluster', cluster);
  const setOf = (shardId: ShardId) => cluster.set(shardId);
  const router = new Router({ link, setOf, health, clock, hedgeMs: HEDGE_MS });
  const loads = new WorkerLoads({ link, clock, log });
  loads.start();
  shutdown.add('worker loads', loads);
  const workforce = new Workforce({ store, link, cluster, health, loadOf: (id) => loads.of(id) });
  const placesFor = (clientId: ClientId, shards: readonly ShardId[], count: number) => {
    return placeShards(clientId, shards, count, workforce.all());
  };
  return { cluster, health, router, workforce, placesFor };
}

export function composeMoves(
  parts: CoordinatorDeps & {
    store: ControlStore;
    link: WorkerLink;
    cluster: Cluster;
    workforce: Workforce;
    dataPlane: DataPlane;
  },
  shutdown: Shutdown,
): Moves {
  const { store, workforce, dataPlane } = parts;
  const moves = new Moves({
    ...parts,
    store: store.replicas,
    shards: () => dataPlane.wantedShards(),
    workers: () => workforce.all(),
    startGraceMs: REPLICATION_TIMING.startGraceMs,
  });
  return shutdown.add('moves', moves);
}
