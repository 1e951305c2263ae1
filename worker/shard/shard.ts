/**
 * One open shard: its writes in order, its reads, its upkeep. Everything a client can do to a shard
 * is a method here; the rooms below know nothing of each other.
 */
import { isDeepStrictEqual } from 'node:util';
import { must } from '../../shared/base/assert.ts';
import type { Clock } from '../../shared/base/clock.ts';
import type { Deadline } from '../../shared/base/deadline.ts';
import type { ShardDescriptor } from '../../shared/domain/collection.ts';
import type { Filter } from '../../shared/domain/filter.ts';
import type { PayloadBytes, PointId } from '../../shared/domain/point.ts';
import type { Log } from '../../shared/log/log.ts';
import type { PayloadChange } from '../../shared/protocol/messages/payload-update.ts';
import type { Reply, Request, WithVectors } from '../../shared/protocol/messages.ts';
import type { PointsSelector } from '../../shared/protocol/schema.ts';
import type { IndexOptions } from '../index/vector-index.ts';
import type { PointsReader } from '../points/points-reader.ts';
import type { PointsStore } from '../points/points-store.ts';
import type { WriteOp } from '../points/write-op.ts';
import { evaluate, plan } from './evaluate.ts';
import { writeDescriptor } from './folder.ts';
import { fillFields, rebuildIndex } from './rebuild.ts';
import { columnsOf, RecordsWriter } from './records.ts';
import { saveImage } from './save.ts';
import { type ScrollRequest, scroll } from './scroll.ts';
import { type FoundPoints, type SearchContext, search } from './search.ts';
import { Slices } from './slices.ts';
import type { ShardState } from './state.ts';
import { WriteGate } from './write-gate.ts';

export interface ShardDeps {
  store: PointsStore;
  clock: Clock;
  log: Log;
  indexOptions: IndexOptions;
  /** Called whenever there are points to link or an image to save. */
  wake: (shard: Shard) => void;
}

export class Shard {
  readonly folder: string;
  readonly #deps: ShardDeps;
  readonly #state: ShardState;
  readonly #gate = new WriteGate();
  readonly #configuring = new WriteGate();
  /** Version in the image on disk; 0 when there is none. */
  #imageVersion: number;
  /** `changeCount` at the last attempt to save an image. */
  #changesAtSave = 0;

  constructor(deps: ShardDeps, parts: { folder: string; state: ShardState; imageVersion: number }) {
    this.#deps = deps;
    this.folder = parts.folder;
    this.#state = parts.state;
    this.#imageVersion = parts.imageVersion;
  }

  get descriptor(): ShardDescriptor {
    return this.#state.descriptor;
  }

  // --- writes: each resolves to the version of the write, when it is durable and searchable

  upsert(ids: PointId[], vectors: Float32Array, payloads: (PayloadBytes | null)[]) {
    return this.#gate.shared(() => {
      // Before the commit: rows that no index can take would be acknowledged and never found.
      this.#state.index.assertRoom(ids.length);
      return this.#write({ kind: 'upsert', ids, vectors, payloads });
    });
  }

  updateVectors(ids: PointId[], vectors: Float32Array): Promise<number> {
    return this.#gate.shared(() => this.#write({ kind: 'vectors', ids, vectors }));
  }

  delete(points: PointsSelector, deadline: Deadline): Promise<number> {
    if (points.kind === 'ids') {
      return this.#gate.shared(() => this.#write({ kind: 'delete', ids: points.ids }));
    }
    return this.#gate.exclusive(async () => {
      const labels = await this.#matching(points.filter, deadline);
      return this.#write({ kind: 'delete-labels', labels });
    });
  }

  updatePayload(points: PointsSelector, change: PayloadChange, deadline: Deadline) {
    if (points.kind === 'ids') {
      const target = { ids: points.ids };
      return this.#gate.shared(() => this.#write({ kind: 'payload', target, change }));
    }
    return this.#gate.exclusive(async () => {
      const target = { labels: await this.#matching(points.filter, deadline) };
      return this.#write({ kind: 'payload', target, change });
    });
  }

  async #write(op: WriteOp): Promise<number> {
    const outcome = await this.#deps.store.write(this.folder, op);
    await this.#state.apply(op, outcome, new Slices(this.#deps.clock));
    this.#deps.wake(this);
    return outcome.version;
  }

  // --- reads

  async query(
    { searches }: Request<'points-query'>,
    vectors: Float32Array,
    deadline: Deadline,
  ): Promise<WithVectors<Reply<'points-query'>>> {
    const { dimension } = this.descriptor.config.vector;
    const writer = new RecordsWriter();
    const results: Reply<'points-query'>['results'] = [];
    let at = 0;
    for (const request of searches) {
      let vector: Float32Array | undefined;
      if (request.target.kind === 'vector') {
        vector = vectors.subarray(at, at + dimension);
        at += dimension;
      }
      const found = await this.#search(request, vector, deadline);
      results.push({ scores: found.scores, records: writer.write(found.rows, viewOf(request)) });
    }
    return { body: { results }, vectors: writer.vectors() };
  }

  async #search(
    request: Request<'points-query'>['searches'][number],
    vector: Float32Array | undefined,
    deadline: Deadline,
  ): Promise<FoundPoints> {
    const context = this.#context(deadline);
    if (request.target.kind !== 'none') return search(request, vector, context);
    const limit = request.offset + request.limit;
    const { filter } = request;
    const view = viewOf(request);
    const listed = await scroll({ ...view, ...(filter && { filter }), limit }, context);
    const rows = listed.rows.slice(request.offset);
    return { rows, scores: rows.map(() => 0) };
  }

  retrieve(request: Request<'points-retrieve'>): WithVectors<Reply<'points-retrieve'>> {
    const rows = this.#reader().byIds(request.ids, columnsOf(request));
    const writer = new RecordsWriter();
    const present = rows.filter((row) => row !== undefined);
    return { body: writer.write(present, request), vectors: writer.vectors() };
  }

  async scroll(
    request: ScrollRequest,
    deadline: Deadline,
  ): Promise<WithVectors<Reply<'points-scroll'>>> {
    const { rows, next } = await scroll(request, this.#context(deadline));
    const writer = new RecordsWriter();
    const records = writer.write(rows, request);
    return { body: { records, next }, vectors: writer.vectors() };
  }

  /** How many points match; with `exact` false perhaps an estimate. */
  async count(filter: Filter | undefined, exact: boolean, deadline: Deadline): Promise<number> {
    if (filter === undefined) return this.#state.index.count;
    if (!exact) {
      const { candidates, residual, estimate } = plan(filter, this.#state, this.#reader);
      return residual ? Math.round(estimate.expected) : candidates.count();
    }
    return (await this.#matching(filter, deadline)).length;
  }

  status(): Omit<Reply<'shard-status'>, 'diskBytes'> {
    const { index, payloads, appliedVersion } = this.#state;
    const payloadIndexPoints: Record<string, number> = {};
    for (const field of Object.keys(payloads.fields)) {
      payloadIndexPoints[field] = payloads.pointsWith(field);
    }
    return {
      points: index.count,
      indexed: index.linked,
      version: appliedVersion,
      state: index.linkPending ? 'linking' : 'ready',
      payloadIndexPoints,
      memoryBytes: index.memoryBytes + payloads.memoryBytes,
    };
  }

  // --- configuration and upkeep

  /**
   * Takes a new configuration; resolves when its new payload indexes are filled. Reads and writes
   * go on meanwhile. One change at a time.
   */
  configure(descriptor: ShardDescriptor): Promise<number> {
    return this.#configuring.exclusive(async () => {
      const state = this.#state;
      const before = state.descriptor;
      await writeDescriptor(this.folder, descriptor);
      state.descriptor = descriptor;
      await this.#changeFields(descriptor.payloadIndexes);
      if (!isDeepStrictEqual(before.config.hnsw, descriptor.config.hnsw)) {
        const old = state.index;
        state.index = rebuildIndex(old, descriptor, this.#deps.indexOptions);
        old.close();
        this.#imageVersion = 0;
        this.#deps.wake(this);
      }
      return state.appliedVersion;
    });
  }

  async #changeFields(wanted: ShardDescriptor['payloadIndexes']): Promise<void> {
    const { payloads } = this.#state;
    const present = payloads.fields;
    for (const field of Object.keys(present)) {
      if (wanted[field] !== present[field]) payloads.removeField(field);
    }
    const added = Object.keys(wanted).filter((field) => wanted[field] !== present[field]);
    if (added.length === 0) return;
    for (const field of added) payloads.addField(field, must(wanted[field], 'it is wanted'));
    await fillFields(payloads, added, this.#reader, new Slices(this.#deps.clock));
    for (const field of added) payloads.finishField(field);
  }

  /** Links points until told to stop; true when none is left. */
  link(untilDone: () => boolean): boolean {
    return this.#state.index.link(untilDone);
  }

  get linkPending(): boolean {
    return this.#state.index.linkPending;
  }

  /** Points changed since the last attempt to save an image, as a share of all points. */
  get imageAge(): number {
    const { index, changeCount } = this.#state;
    const neverSaved = this.#imageVersion === 0 && this.#changesAtSave === 0;
    return neverSaved ? 1 : (changeCount - this.#changesAtSave) / Math.max(1, index.count);
  }

  /** Whether the shard is ahead of its image and has a graph, without which reading the rows is as
   * quick. */
  get wantsImage(): boolean {
    const { index, appliedVersion } = this.#state;
    return index.hasGraph && appliedVersion > this.#imageVersion;
  }

  /** Saves the index; a failure is logged and costs only a slower start. */
  async save(): Promise<void> {
    const { clock, log } = this.#deps;
    const { shardId } = this.descriptor;
    const startMs = clock.monotonicMs();
    const version = this.#state.appliedVersion;
    this.#changesAtSave = this.#state.changeCount;
    try {
      const bytes = await saveImage(this.folder, this.#state, version);
      this.#imageVersion = version;
      log.event('image_saved', { shardId, version, bytes, ms: clock.monotonicMs() - startMs });
    } catch (error) {
      log.event('image_save_failed', { shardId, error });
    }
  }

  /** Frees what the garbage collector does not see. Nothing may be asked of the shard after. */
  close(): void {
    this.#state.index.close();
  }

  /** Waits for the writes and changes under way. */
  async idle(): Promise<void> {
    await this.#gate.idle();
    await this.#configuring.idle();
  }

  readonly #reader = (): PointsReader => this.#deps.store.reader(this.folder);

  #context(deadline: Deadline): SearchContext {
    const slices = new Slices(this.#deps.clock, deadline);
    return { state: this.#state, reader: this.#reader, slices };
  }

  async #matching(filter: Filter, deadline: Deadline): Promise<Uint32Array> {
    const slices = new Slices(this.#deps.clock, deadline);
    return (await evaluate(filter, this.#state, this.#reader, slices)).toLabels();
  }
}

function viewOf({ payload, withVector }: Request<'points-query'>['searches'][number]) {
  return { payload, withVector };
}
