/**
 * A worker's shards without the network: registry, real SQLite, real index, one shard.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { must } from '../../shared/base/assert.ts';
import { systemClock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import type { ClientId, CollectionId, ShardId } from '../../shared/base/ids.ts';
import { SeededRandom } from '../../shared/base/random.ts';
import type { ShardDescriptor } from '../../shared/domain/collection.ts';
import { prepareVector } from '../../shared/domain/distance.ts';
import type { Filter } from '../../shared/domain/filter.ts';
import type { PointId } from '../../shared/domain/point.ts';
import { type Log, quietLog } from '../../shared/log/log.ts';
import type { Search } from '../../shared/protocol/messages/points-query.ts';
import type { PointsSelector, Written } from '../../shared/protocol/schema.ts';
import { BuilderThread } from '../../worker/index/kernel/builder.ts';
import { PointsStore } from '../../worker/points/points-store.ts';
import { ShardRegistry } from '../../worker/shard/registry.ts';
import type { Shard } from '../../worker/shard/shard.ts';
import { type Cleanup, cleanUp } from '../harness/cleanup.ts';

export const DIMENSION = 16;
export const INDEX_OPTIONS = { graphFrom: 200, seed: 1 };
export const SHARD = '00000000-0000-4000-8000-000000000001' as ShardId;

export class ShardRig {
  readonly #dataDir: string;
  readonly #log: Log;
  #worker: { store: PointsStore; registry: ShardRegistry; builder: BuilderThread } | undefined;

  private constructor(dataDir: string, log: Log) {
    this.#dataDir = dataDir;
    this.#log = log;
  }

  get store(): PointsStore {
    return must(this.#worker, 'the rig is open').store;
  }

  get registry(): ShardRegistry {
    return must(this.#worker, 'the rig is open').registry;
  }

  get coldDir(): string {
    return path.join(this.#dataDir, 'cold');
  }

  static async start(t: Cleanup, log = quietLog): Promise<ShardRig> {
    const dataDir = await mkdtemp(path.join(tmpdir(), 'bulkhead-shard-'));
    const rig = new ShardRig(dataDir, log);
    await rig.open();
    cleanUp(t, async () => {
      await rig.close(false);
      await rm(dataDir, { recursive: true });
    });
    return rig;
  }

  async open({ purgeAfterMs = 300_000 } = {}): Promise<void> {
    const deps = { clock: systemClock, log: this.#log };
    const store = new PointsStore(deps, { writerThreads: 1, handlesMax: 8, diskReserveBytes: 0 });
    await store.start();
    const builder = new BuilderThread(deps);
    const indexOptions = { ...INDEX_OPTIONS, builder };
    const dataDir = this.#dataDir;
    const cold = { coldDir: this.coldDir, coldVerifyMs: 86_400_000 };
    const options = { dataDir, ...cold, indexOptions, purgeAfterMs };
    const registry = new ShardRegistry({ ...deps, store }, options);
    await registry.start();
    this.#worker = { store, registry, builder };
  }

  /** With `save` false nothing is saved, as if the process had been killed between writes. */
  async close(save: boolean): Promise<void> {
    await this.registry.close(Deadline.after(systemClock, save ? 30_000 : 0));
    await this.store.close(inTime());
    await this.#worker?.builder.close();
  }

  async restart(save: boolean): Promise<Shard> {
    await this.close(save);
    await this.open();
    return this.registry.shard(SHARD);
  }

  /** A new empty shard. */
  async create(change: Partial<ShardDescriptor> = {}): Promise<Shard> {
    await this.registry.create(descriptor(change));
    return this.registry.shard(SHARD);
  }
}

export function descriptor(change: Partial<ShardDescriptor> = {}): ShardDescriptor {
  return {
    shardId: SHARD,
    collectionId: '00000000-0000-4000-8000-000000000002' as CollectionId,
    place: {
      clientId: 'cl_aaaaaaaaaaaaaaaa' as ClientId,
      mode: 'live',
      namespace: 'default',
      collection: 'books',
      generation: 1,
      ordinal: 0,
    },
    config: {
      vector: { dimension: DIMENSION, distance: 'Cosine' },
      hnsw: { m: 16, efConstruct: 100 },
    },
    payloadIndexes: {},
    ...change,
  };
}

export const inTime = () => Deadline.after(systemClock, 30_000);

export const ODD: Filter = {
  must: [{ kind: 'match-any', path: ['odd'], values: [true] }],
  should: [],
  mustNot: [],
};

export function range(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i);
}

/** Its vector follows from its seed: by default the id. */
export function vectorOf(seed: number): Float32Array {
  const seeded = new SeededRandom(seed);
  const vector = Float32Array.from({ length: DIMENSION }, () => seeded.normal());
  prepareVector('Cosine', vector, '');
  return vector;
}

const lastVersions = new Map<string, number>();

/** As a coordinator counts them, for each shard by itself. */
export function nextVersion({ folder }: Shard): number {
  const version = 1 + (lastVersions.get(folder) ?? 0);
  lastVersions.set(folder, version);
  return version;
}

export async function upsert(shard: Shard, ids: number[], seedOf = (id: number) => id) {
  const vectors = new Float32Array(ids.length * DIMENSION);
  for (const [i, id] of ids.entries()) vectors.set(vectorOf(seedOf(id)), i * DIMENSION);
  const payloads = ids.map((id) => Buffer.from(JSON.stringify({ id, odd: id % 2 === 1 })));
  return shard.upsert({ version: nextVersion(shard), ids, payloads }, { '': vectors });
}

export function remove(shard: Shard, points: PointsSelector): Promise<Written> {
  return shard.delete({ version: nextVersion(shard), points }, inTime());
}

export function request(more: Partial<Search> = {}): Search {
  return {
    target: { kind: 'vector' },
    limit: 3,
    offset: 0,
    exact: false,
    payload: { kind: 'none' },
    withVector: false,
    ...more,
  };
}

/** Ids nearest to the vector of a seed. */
export async function nearest(
  shard: Shard,
  seed: number,
  more: Partial<Search> = {},
): Promise<PointId[]> {
  const searches = [request(more)];
  const { body } = await shard.reads.query({ searches }, vectorOf(seed), inTime());
  return body.results[0]?.records.ids ?? [];
}

export async function untilLinked(shard: Shard): Promise<void> {
  while (shard.linkPending) await new Promise((resolve) => setImmediate(resolve));
}
