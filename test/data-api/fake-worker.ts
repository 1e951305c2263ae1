/**
 * A worker in memory behind the link's interface: exact, unindexed, without filters. It notes
 * every message, so that a test can see what was (and was not) sent.
 */
import type { Deadline } from '../../shared/base/deadline.ts';
import type { ShardId, WorkerId } from '../../shared/base/ids.ts';
import type { ShardDescriptor } from '../../shared/domain/collection.ts';
import { higherIsNearer } from '../../shared/domain/distance.ts';
import { isJsonObject, parseJsonBytes, stringifyJson } from '../../shared/domain/json.ts';
import {
  comparePointIds,
  type PayloadBytes,
  type PointId,
  pointIdToKey,
} from '../../shared/domain/point.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { PayloadChange } from '../../shared/protocol/messages/payload-update.ts';
import type { Search } from '../../shared/protocol/messages/points-query.ts';
import {
  MESSAGES,
  type MessageName,
  type Reply,
  type Request,
  type WithVectors,
} from '../../shared/protocol/messages.ts';
import { type Once, type OnceSpan, onceAfter } from '../../shared/protocol/once.ts';
import { isWholePage, sealPage } from '../../shared/protocol/page.ts';
import type { Records, Room, Written } from '../../shared/protocol/schema.ts';

interface StoredPoint {
  version: number;
  vector: Float32Array;
  payload: PayloadBytes | null;
}

interface FakeShard {
  descriptor: ShardDescriptor;
  points: Map<PointId, StoredPoint>;
  /** Versions of the removals of ids that are not there. */
  removed: Map<PointId, number>;
  version: number;
  /** Versions of the writes that take effect once, by key; each with the digest of its request. */
  once: Map<string, { request: string; version: number }>;
  /** Rows that each filter is said to take. */
  examined: number;
}

export interface SentMessage {
  shardId: ShardId;
  name: MessageName;
  body: unknown;
  vectors: number[];
}

type Handler = (shard: FakeShard, body: never, vectors: Float32Array) => WithVectors<unknown>;

const NO_VECTORS = new Float32Array();
/** Of a page between shards. */
const PAGE_POINTS = 4;

export class FakeWorker {
  readonly workerId = 'wk_aaaaaaaaaaaaaaaa' as WorkerId;
  readonly sent: SentMessage[] = [];
  readonly shards = new Map<ShardId, FakeShard>();
  online = true;
  /** Called before a message is handled; what it throws or awaits is what the caller meets. */
  interfere: (name: MessageName, deadline: Deadline) => void | Promise<void> = () => undefined;
  /** Called after a message was handled; what it awaits holds up the answer. */
  holdAnswer: () => void | Promise<void> = () => undefined;
  /** The last write of each shard: writes are handled in the order in which they came. */
  readonly #writes = new Map<ShardId, Promise<unknown>>();
  readonly #onConnect: ((workerId: WorkerId) => void)[] = [];

  isReady(workerId: WorkerId): boolean {
    return this.online && workerId === this.workerId;
  }

  inFlight(): number {
    return 0;
  }

  /** It never loses a connection that it would have to tell of: tests set `online`. */
  onLoss(): void {
    // Nobody is told.
  }

  /** Its files are never damaged. */
  onDamage(): void {
    // Nobody is told.
  }

  connected(): WorkerId[] {
    return this.online ? [this.workerId] : [];
  }

  onConnect(listener: (workerId: WorkerId) => void): void {
    this.#onConnect.push(listener);
  }

  connect(): void {
    this.online = true;
    for (const listener of this.#onConnect) listener(this.workerId);
  }

  async request<N extends MessageName>(
    route: { shardId: ShardId; workerId: WorkerId },
    name: N,
    body: Request<N>,
    vectors: Float32Array | undefined,
    deadline: Deadline,
  ): Promise<WithVectors<Reply<N>>> {
    if (!this.online) throw new AppError('unavailable');
    const { shardId } = route;
    this.sent.push({ shardId, name, body, vectors: [...(vectors ?? [])] });
    const before = MESSAGES[name].writes ? this.#writes.get(shardId) : undefined;
    const handled = Promise.all([this.interfere(name, deadline), before]).then(() => {
      return this.#handle(route, name, body, vectors);
    });
    if (MESSAGES[name].writes) this.#writes.set(shardId, Promise.allSettled([before, handled]));
    const answer = await handled;
    await this.holdAnswer();
    return answer;
  }

  #handle<N extends MessageName>(
    { shardId }: { shardId: ShardId },
    name: N,
    body: Request<N>,
    vectors: Float32Array | undefined,
  ): WithVectors<Reply<N>> {
    if (name === 'shard-create') this.#create(body as Request<'shard-create'>);
    if (name === 'shard-drop') this.shards.delete(shardId);
    if (name === 'shard-create' || name === 'shard-drop') return reply({}) as never;
    const shard = this.shards.get(shardId);
    if (shard === undefined) throw new AppError('internal', undefined, { detail: 'no such shard' });
    return HANDLERS[name]?.(shard, body as never, vectors ?? NO_VECTORS) as never;
  }

  #create({ descriptor }: Request<'shard-create'>): void {
    if (this.shards.has(descriptor.shardId)) return;
    const rows = { points: new Map(), removed: new Map(), once: new Map() };
    this.shards.set(descriptor.shardId, { descriptor, ...rows, version: 0, examined: 0 });
  }
}

const HANDLERS: Partial<Record<MessageName, Handler>> = {
  'shard-configure': (shard, { descriptor }: Request<'shard-configure'>) => {
    shard.descriptor = descriptor;
    return reply({ version: shard.version });
  },
  'shard-status': (shard) =>
    reply({
      points: shard.points.size,
      indexed: 0,
      version: shard.version,
      state: 'ready',
      payloadIndexPoints: {},
      diskBytes: 0,
      memoryBytes: 0,
    }),
  'shard-usage': (shard) => reply(usageOf(shard)),
  'shard-census': (shard) => {
    const { version, points, bytes } = usageOf(shard);
    return reply({ version, points, bytes, memoryBytes: 1_000, diskBytes: 2_000 });
  },
  // Nobody looks at bills here.
  'meter-read': (_, { upTo }: Request<'meter-read'>) => reply({ sums: [], upTo, more: false }),
  'shard-release': () => reply({ released: false }),
  'points-upsert': (shard, body: Request<'points-upsert'>, vectors) => {
    const { ids, payloads, version } = body;
    const dimension = vectors.length / ids.length;
    return written(shard, body, () => {
      ids.forEach((id, i) => {
        const vector = vectors.slice(i * dimension, (i + 1) * dimension);
        shard.points.set(id, { version, vector, payload: payloads[i] ?? null });
        shard.removed.delete(id);
      });
    });
  },
  'vectors-update': (shard, body: Request<'vectors-update'>, vectors) => {
    const { ids } = body;
    const dimension = vectors.length / ids.length;
    return written(shard, body, () => {
      ids.forEach((id, i) => {
        const vector = vectors.slice(i * dimension, (i + 1) * dimension);
        change(shard, id, (point) => ({ ...point, vector, version: body.version }));
      });
    });
  },
  'points-delete': (shard, body: Request<'points-delete'>) => {
    const { points } = body;
    return written(shard, body, () => {
      if (points.kind !== 'ids') return 0;
      const gone = points.ids.filter((id) => shard.points.delete(id));
      for (const id of gone) shard.removed.set(id, body.version);
      return gone.length;
    });
  },
  'payload-update': (shard, body: Request<'payload-update'>) => {
    const ids = body.points.kind === 'ids' ? body.points.ids : [...shard.points.keys()];
    return written(shard, body, () => {
      for (const id of ids) {
        change(shard, id, ({ payload, ...point }) => {
          return { ...point, payload: changed(payload, body.change), version: body.version };
        });
      }
      return ids.length;
    });
  },
  'points-retrieve': (shard, body: Request<'points-retrieve'>) => {
    const ids = body.ids.filter((id) => shard.points.has(id));
    return records(shard, ids, body.payload.kind !== 'none', body.withVector);
  },
  'points-scroll': (shard, body: Request<'points-scroll'>) => {
    const from = body.offset === undefined ? undefined : pointIdToKey(body.offset);
    const ids = sortedIds(shard).filter(
      (id) => from === undefined || Buffer.compare(pointIdToKey(id), from) >= 0,
    );
    const page = ids.slice(0, body.limit);
    const found = records(shard, page, body.payload.kind !== 'none', body.withVector);
    return {
      body: { records: found.body, next: ids[body.limit] ?? null, ...workOf(shard) },
      vectors: found.vectors,
    };
  },
  'points-count': (shard) => reply({ count: shard.points.size, ...workOf(shard) }),
  'range-read': (shard, { range }: Request<'range-read'>) => {
    const { from } = range;
    const ids = sortedIds(shard).filter(
      (id) => from === undefined || comparePointIds(id, from) >= 0,
    );
    const { page, vectors } = pageOf(shard, ids.slice(0, PAGE_POINTS), []);
    return { body: { page, next: ids[PAGE_POINTS] ?? null, version: shard.version }, vectors };
  },
  'changes-read': (shard, body: Request<'changes-read'>) => readChanges(shard, body),
  'changes-apply': (shard, body: Request<'changes-apply'>, vectors) => {
    return applyPage(shard, body, vectors);
  },
  'points-query': (shard, { searches }: Request<'points-query'>, vectors) => {
    const results = [];
    const floats: number[] = [];
    let at = 0;
    for (const search of searches) {
      const { dimension } = shard.descriptor.config.vector;
      const query = vectors.subarray(at, at + dimension);
      if (search.target.kind === 'vector') at += dimension;
      const hits = nearest(shard, search, query);
      const ids = hits.map(({ id }) => id);
      const found = records(shard, ids, search.payload.kind !== 'none', search.withVector);
      floats.push(...found.vectors);
      results.push({ scores: hits.map(({ score }) => score), records: found.body });
    }
    return { body: { results, ...workOf(shard) }, vectors: new Float32Array(floats) };
  },
};

/** A page of a few points; removed ids come all at once. */
function readChanges(
  shard: FakeShard,
  { since, cursor }: Request<'changes-read'>,
): WithVectors<unknown> {
  const { version } = shard;
  const after = cursor?.kind === 'once' ? cursor.after : onceAfter(since);
  const rows = [...shard.once].filter(([, done]) => done.version > after.version);
  const bytesOf = (hex: string) => Buffer.from(hex, 'hex');
  const once = {
    after,
    until: null,
    rows: rows.map(([key, done]) => {
      return { ...done, key: bytesOf(key), request: bytesOf(done.request), at: 1 };
    }),
  };
  if (cursor?.kind === 'once') {
    const { page, vectors } = pageOf(shard, [], [], once);
    return { body: { page, next: null, version, floor: 0, tooFar: false }, vectors };
  }
  const all = sortedIds(shard);
  const from = cursor?.kind === 'points' ? cursor.afterLabel + 1 : 0;
  const isNew = (id: PointId) => (shard.points.get(id)?.version ?? 0) > since;
  const places = [...all.keys()].filter((place) => place >= from && isNew(all[place] as PointId));
  const ids = places.slice(0, PAGE_POINTS).map((place) => all[place] as PointId);
  const afterLabel = places[PAGE_POINTS - 1];
  const next = afterLabel === undefined ? null : { kind: 'points', afterLabel };
  const removed = next === null ? [...shard.removed].filter(([, one]) => one > since) : [];
  const { page, vectors } = pageOf(shard, ids, removed, next === null ? once : undefined);
  return { body: { page, next, version, floor: 0, tooFar: false }, vectors };
}

function pageOf(shard: FakeShard, ids: PointId[], removed: [PointId, number][], once?: OnceSpan) {
  const { body, vectors } = records(shard, ids, true, true);
  const { versions, payloads = [] } = body;
  const [removedIds, removedVersions] = [removed.map(([id]) => id), removed.map(([, one]) => one)];
  const lists = { ids, versions, payloads, removedIds, removedVersions };
  const page = sealPage({ ...lists, ...(once && { once }) }, vectors);
  return { page, vectors };
}

function applyPage(
  shard: FakeShard,
  { page, lastVersion }: Request<'changes-apply'>,
  vectors: Float32Array,
): WithVectors<unknown> {
  const { dimension } = shard.descriptor.config.vector;
  if (!isWholePage(page, vectors, dimension)) throw new AppError('invalid_argument');
  const { ids, versions, payloads, removedIds, removedVersions } = page;
  ids.forEach((id, i) => {
    const vector = vectors.slice(i * dimension, (i + 1) * dimension);
    shard.points.set(id, { version: versions[i] ?? 0, vector, payload: payloads[i] ?? null });
    shard.removed.delete(id);
  });
  removedIds.forEach((id, i) => {
    shard.points.delete(id);
    shard.removed.set(id, removedVersions[i] ?? 0);
  });
  for (const { key, request, version } of page.once?.rows ?? []) {
    shard.once.set(hexOf(key), { request: hexOf(request), version });
  }
  shard.version = Math.max(shard.version, lastVersion, ...versions, ...removedVersions);
  return reply(usageOf(shard));
}

function workOf({ examined }: FakeShard): { examined?: number } {
  return examined === 0 ? {} : { examined };
}

function reply(body: unknown): WithVectors<unknown> {
  return { body, vectors: NO_VECTORS };
}

function usageOf({ points, version }: FakeShard): Written {
  let [bytes, digest] = [0, 0];
  for (const [id, point] of points) {
    bytes += point.vector.byteLength + (point.payload?.length ?? 0);
    digest += Number(id) * point.version;
  }
  return { version, points: points.size, bytes, digest };
}

/** Makes a change, or none at all when it fails or grows the shard beyond its room. */
function written(
  shard: FakeShard,
  { version, room, once }: { version: number; room?: Room | undefined; once?: Once | undefined },
  /** May answer how many points it changed. */
  make: () => unknown,
): WithVectors<unknown> {
  const done = once && shard.once.get(hexOf(once.key));
  if (once !== undefined && done !== undefined) {
    if (done.request !== hexOf(once.request)) throw new AppError('conflict');
    return reply({ ...usageOf(shard), repeated: done.version });
  }
  if (version <= shard.version) throw new AppError('stale_write');
  const before = [new Map(shard.points), new Map(shard.removed)] as const;
  const { points, bytes } = usageOf(shard);
  let changed: unknown;
  try {
    changed = make();
    const after = usageOf(shard);
    const most = room ?? { points: Number.POSITIVE_INFINITY, bytes: Number.POSITIVE_INFINITY };
    if (after.points - points > most.points || after.bytes - bytes > most.bytes) {
      throw new AppError('quota_exceeded');
    }
  } catch (error) {
    [shard.points, shard.removed] = before;
    throw error;
  }
  shard.version = version;
  if (once !== undefined)
    shard.once.set(hexOf(once.key), { request: hexOf(once.request), version });
  return reply({ ...usageOf(shard), ...(typeof changed === 'number' && { changed }) });
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function change(shard: FakeShard, id: PointId, make: (point: StoredPoint) => StoredPoint): void {
  const point = shard.points.get(id);
  if (point === undefined) throw new AppError('point_not_found');
  shard.points.set(id, make(point));
}

function changed(payload: PayloadBytes | null, change: PayloadChange): PayloadBytes | null {
  if (change.kind === 'set') return merge(payload, change.payload);
  if (change.kind === 'overwrite') return change.payload;
  return change.kind === 'clear' ? null : payload;
}

function merge(old: PayloadBytes | null, change: PayloadBytes): PayloadBytes {
  const before = old === null ? {} : parseJsonBytes(old);
  const after = parseJsonBytes(change);
  if (!isJsonObject(before) || !isJsonObject(after)) throw new Error('payloads are objects');
  return Buffer.from(stringifyJson({ ...before, ...after }));
}

function sortedIds(shard: FakeShard): PointId[] {
  return [...shard.points.keys()].sort(comparePointIds);
}

function records(
  shard: FakeShard,
  ids: PointId[],
  withPayload: boolean,
  withVector: boolean,
): WithVectors<Records> {
  const points = ids.flatMap((id) => shard.points.get(id) ?? []);
  const body: Records = {
    ids,
    versions: points.map((point) => point.version),
    vectors: withVector,
  };
  if (withPayload) body.payloads = points.map((point) => point.payload);
  const floats = withVector ? points.flatMap((point) => [...point.vector]) : [];
  return { body, vectors: new Float32Array(floats) };
}

function nearest(
  shard: FakeShard,
  search: Search,
  query: Float32Array,
): { id: PointId; score: number }[] {
  const { target, limit, offset } = search;
  if (target.kind === 'none') {
    const ids = sortedIds(shard).slice(offset, offset + limit);
    return ids.map((id) => ({ id, score: 0 }));
  }
  const own = target.kind === 'point' ? shard.points.get(target.id) : undefined;
  if (target.kind === 'point' && own === undefined) throw new AppError('point_not_found');
  const sign = higherIsNearer(shard.descriptor.config.vector.distance) ? -1 : 1;
  const excluded = target.kind === 'vector' ? target.exclude : target.id;
  const hits = [...shard.points]
    .filter(([id]) => id !== excluded)
    .map(([id, point]) => ({ id, score: dot(own?.vector ?? query, point.vector) }));
  const order = (a: (typeof hits)[0], b: (typeof hits)[0]) => {
    return sign * (a.score - b.score) || comparePointIds(a.id, b.id);
  };
  return hits.sort(order).slice(offset, offset + limit);
}

function dot(a: Float32Array, b: Float32Array): number {
  return a.reduce((sum, x, i) => sum + x * (b[i] ?? 0), 0);
}
