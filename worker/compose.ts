/**
 * Builds the worker's parts once and hands each what it needs. Closing goes the other way round:
 * no new requests, shards saved, last commits done, the folder free for another process.
 */
import path from 'node:path';
import type { Clock } from '../shared/base/clock.ts';
import type { SecureRandom } from '../shared/base/random.ts';
import type { Shutdown } from '../shared/base/shutdown.ts';
import type { Log } from '../shared/log/log.ts';
import type { WorkerConfig } from './config.ts';
import { BuilderThread } from './index/kernel/builder.ts';
import { lockFolder } from './points/folder-lock.ts';
import { PointsStore } from './points/points-store.ts';
import { createHandlers } from './server/handlers.ts';
import { CoordinatorLink } from './server/link.ts';
import { OwnStatus, processUsage } from './server/own-status.ts';
import { ShardRegistry } from './shard/registry.ts';
import { loadWorkerId } from './worker-id.ts';

export interface WorkerDeps {
  clock: Clock;
  random: SecureRandom;
  log: Log;
}

/** Starts a worker; resolves to what its parent wants to know. */
export async function startWorker(config: WorkerConfig, deps: WorkerDeps, shutdown: Shutdown) {
  const { dataDir, purgeAfterMs } = config;
  const startMs = deps.clock.monotonicMs();
  const lock = lockFolder(dataDir);
  shutdown.add('folder lock', { close: () => lock.release() });
  const workerId = await loadWorkerId(dataDir, deps.random);

  const store = shutdown.add('points store', new PointsStore(deps, config));
  await store.start();
  const builder = shutdown.add('graph builder', new BuilderThread(deps));
  const seed = deps.random.below(2 ** 31);
  const indexOptions = { graphFrom: config.flatPointsMax, seed, builder };
  // Several workers may have one cold disk.
  const coldDir = path.resolve(config.coldDir || path.join(dataDir, 'cold'), workerId);
  const coldVerifyMs = config.coldVerifyHours * 3_600_000;
  const folders = { dataDir, coldDir, coldVerifyMs };
  const registry = new ShardRegistry(
    { ...deps, store },
    { ...folders, indexOptions, purgeAfterMs },
  );
  shutdown.add('shards', registry);
  await registry.start();

  const status = new OwnStatus({ ...deps, registry, usage: processUsage }, { dataDir });
  const link = new CoordinatorLink(
    { ...deps, handlers: createHandlers(registry, deps.clock, () => status.read()) },
    { coordinatorUrl: config.coordinatorUrl, workerId, secret: config.linkSecret },
  );
  shutdown.add('coordinator link', link);
  link.start();

  const ms = deps.clock.monotonicMs() - startMs;
  const unserved = { quarantined: registry.quarantined.length, damaged: registry.damaged.length };
  deps.log.event('worker_ready', { workerId, shards: registry.size, ...unserved, ms });
  return { workerId, shards: registry.size };
}
