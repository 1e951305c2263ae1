/** A worker's shards without its link: what the tests of crashes do to them and ask of them. */
import path from 'node:path';
import { must } from '../../shared/base/assert.ts';
import { systemClock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import type { ShardId } from '../../shared/base/ids.ts';
import { type Log, quietLog } from '../../shared/log/log.ts';
import type { PointsSelector, Written } from '../../shared/protocol/schema.ts';
import { BuilderThread } from '../../worker/index/kernel/builder.ts';
import { PointsStore } from '../../worker/points/points-store.ts';
import { ShardRegistry } from '../../worker/shard/registry.ts';
import type { Shard } from '../../worker/shard/shard.ts';
import {
  type Action,
  DIMENSION,
  descriptorOf,
  filterOf,
  payloadOf,
  shardIdOf,
  vectorOf,
  type Write,
} from './shard-plan.ts';

const DEADLINE_MS = 30_000;
/** A graph from so few points on, so that there are images. */
const GRAPH_FROM = 20;

export const inTime = (): Deadline => Deadline.after(systemClock, DEADLINE_MS);

interface ThreadsOptions {
  log?: Log;
  handlesMax?: number;
  diskReserveBytes?: number;
}

/** The threads that a worker's shards need. To start them takes longer than a short life of shards. */
export class Threads {
  readonly store: PointsStore;
  readonly builder: BuilderThread;

  constructor({ log = quietLog, handlesMax = 1, diskReserveBytes = 0 }: ThreadsOptions = {}) {
    const deps = { clock: systemClock, log };
    this.store = new PointsStore(deps, { writerThreads: 1, handlesMax, diskReserveBytes });
    this.builder = new BuilderThread(deps);
  }

  start(): Promise<void> {
    return this.store.start();
  }

  async close(): Promise<void> {
    await this.store.close(inTime());
    await this.builder.close();
  }
}

interface Parts {
  registry: ShardRegistry;
  threads: Threads;
}

export class ShardWorker {
  readonly #dataDir: string;
  readonly #shared: Threads | undefined;
  #parts: Parts | undefined;

  /** With `shared`, closing leaves databases open, but for those that another shard's closed. */
  constructor(dataDir: string, shared?: Threads) {
    this.#dataDir = dataDir;
    this.#shared = shared;
  }

  get registry(): ShardRegistry {
    return must(this.#parts, 'it is open').registry;
  }

  /** One handle of each kind, so that the shards close each other's databases. */
  async open(): Promise<void> {
    const threads = this.#shared ?? new Threads();
    if (this.#shared === undefined) await threads.start();
    const registry = registryOn(this.#dataDir, { ...threads, log: quietLog });
    this.#parts = { registry, threads };
    await registry.start();
  }

  /** With `save`, as a worker that is told to stop; else its images stay as they are. */
  async close(save: boolean): Promise<void> {
    const { registry, threads } = must(this.#parts, 'it is open');
    this.#parts = undefined;
    await registry.close(Deadline.after(systemClock, save ? DEADLINE_MS : 0));
    if (this.#shared === undefined) await threads.close();
  }

  /** What a write answered; undefined for everything else. */
  async perform(action: Action): Promise<Written | undefined> {
    switch (action.kind) {
      case 'create':
        await this.registry.create(descriptorOf(action.shard));
        return undefined;
      case 'drop': {
        const { place } = descriptorOf(action.shard);
        await this.registry.drop(shardIdOf(action.shard), place);
        return undefined;
      }
      case 'index-field':
        await this.#shard(action.shard);
        await this.registry.configure(descriptorOf(action.shard, true));
        return undefined;
      case 'freeze':
        await this.registry.freeze(shardIdOf(action.shard));
        return undefined;
      case 'save':
        await (await this.#shard(action.shard)).image.save();
        return undefined;
      case 'restart':
        await this.close(true);
        await this.open();
        return undefined;
      case 'write':
        return performWrite(await this.#shard(action.shard), action.write, action.version);
    }
  }

  #shard(shard: number): Promise<Shard> {
    return warmShard(this.registry, shardIdOf(shard));
  }
}

/** The shard, brought back if it is cold. */
export async function warmShard(registry: ShardRegistry, shardId: ShardId): Promise<Shard> {
  await registry.warming(shardId, inTime());
  return registry.shard(shardId);
}

export function coldDirOf(dataDir: string): string {
  return path.join(dataDir, 'cold');
}

export function registryOn(
  dataDir: string,
  { store, builder, log }: { store: PointsStore; builder: BuilderThread; log: Log },
): ShardRegistry {
  return new ShardRegistry(
    { store, clock: systemClock, log },
    {
      dataDir,
      coldDir: coldDirOf(dataDir),
      coldVerifyMs: 86_400_000,
      indexOptions: { graphFrom: GRAPH_FROM, seed: 1, builder },
      purgeAfterMs: 86_400_000,
    },
  );
}

/** `version` is above that of every write before. */
export function performWrite(shard: Shard, write: Write, version: number): Promise<Written> {
  switch (write.kind) {
    case 'upsert': {
      const { ids, round } = write;
      const payloads = ids.map((id) => Buffer.from(JSON.stringify(payloadOf(id, round))));
      return shard.upsert({ version, ids, payloads }, { '': vectorsOf(ids, round) });
    }
    case 'vectors': {
      const { ids, round } = write;
      return shard.updateVectors({ version, ids }, { '': vectorsOf(ids, round) });
    }
    case 'delete':
    case 'delete-where':
      return shard.delete({ version, points: selectorOf(write) }, inTime());
    case 'set-payload':
    case 'set-payload-where': {
      const payload = Buffer.from(JSON.stringify({ round: write.round }));
      const change = { kind: 'set' as const, payload };
      return shard.updatePayload({ version, points: selectorOf(write), change }, inTime());
    }
  }
}

function selectorOf(write: { ids: number[] } | { tag: number }): PointsSelector {
  if ('ids' in write) return { kind: 'ids', ids: write.ids };
  return { kind: 'filter', filter: filterOf(write.tag) };
}

function vectorsOf(ids: readonly number[], round: number): Float32Array {
  const vectors = new Float32Array(ids.length * DIMENSION);
  for (const [i, id] of ids.entries()) vectors.set(vectorOf(id, round), i * DIMENSION);
  return vectors;
}
