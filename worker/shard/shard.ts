/**
 * One open shard: its writes in order, its configuration, its upkeep; what can be asked of it is
 * in `reads`, what it takes over from another replica in `levelling`. The rooms below know nothing of each other; here they meet.
 *
 * A write goes to the writer thread, and after its commit into memory (see `state.ts`). Writes come in
 * the order of their versions and nothing before the writer thread may change it, so nothing is waited
 * for between the gate and the thread: a write that was overtaken would be refused as stale. When a
 * write ends without saying whether it was committed (the thread died, the disk failed a sync),
 * memory may lack what the rows have. The shard then catches up from the rows before the next
 * write that runs alone, and no image says more than what was surely applied.
 *
 * After a trap of the kernel (`guarded-index.ts`) a shard is good for nothing but being opened anew,
 * which waits for its writes under way: those that were committed are acknowledged, since they are
 * among the rows that are read then.
 */
import { isDeepStrictEqual } from 'node:util';
import { must } from '../../shared/base/assert.ts';
import type { Clock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import type { ShardDescriptor } from '../../shared/domain/collection.ts';
import { type PointId, type PointVectors, UNNAMED_VECTOR } from '../../shared/domain/point.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Log } from '../../shared/log/log.ts';
import type { Request } from '../../shared/protocol/messages.ts';
import type { Written } from '../../shared/protocol/schema.ts';
import type { IndexOptions } from '../index/vector-index.ts';
import type { PointsReader } from '../points/points-reader.ts';
import type { PointsStore } from '../points/points-store.ts';
import type { Change, Numbered, WriteOp, WriteOutcome } from '../points/write-op.ts';
import { writeDescriptor } from './folder.ts';
import { GuardedIndex } from './guarded-index.ts';
import { ShardLevelling } from './levelling.ts';
import { ShardReads } from './reads.ts';
import { fillFields, indexOfRows, replayRows, staleLabels } from './rebuild.ts';
import { RecentRows } from './recent-rows.ts';
import { type ImageState, ShardImage } from './shard-image.ts';
import { Slices } from './slices.ts';
import { parsePayload, type ShardState } from './state.ts';
import { ShardUndo } from './undo.ts';
import { WriteGate } from './write-gate.ts';

export interface ShardDeps {
  store: Pick<PointsStore, 'write' | 'settle' | 'reader'>;
  clock: Clock;
  log: Log;
  indexOptions: IndexOptions;
  /** Called whenever there are points to link or an image to save. */
  wake: (shard: Shard) => void;
}

/**
 * Points of one commit of a delete or payload change. A larger one is several commits: each frees
 * or reuses log space before the next, so that a full shard can be emptied on a full disk.
 */
const CHANGE_POINTS_MAX = 500;

/** A write of vectors is answered so much later at most while others are to be linked: about what
 * linking its own takes, so that a single point is not held up by a long line. */
const PACE_MS_PER_POINT = 0.25;
const PACE_MS_MAX = 1_000;

/** Share of the points in the graph from which on an image is worth its writing. */
const NEARLY = 0.8;

/** Errors by which a write says that it changed nothing. */
const NOTHING_CHANGED = new Set([
  'conflict',
  'stale_write',
  'quota_exceeded',
  'point_not_found',
  'invalid_argument',
  'insufficient_storage',
  'unavailable',
  'overloaded',
  'shutting_down',
  'deadline_exceeded',
]);

/** Whose vectors come beside them. */
type Upsert = Omit<Request<'points-upsert'>, 'names'>;
type VectorsUpdate = Omit<Request<'vectors-update'>, 'names'>;

export class Shard {
  readonly folder: string;
  readonly reads: ShardReads;
  readonly levelling: ShardLevelling;
  readonly undo: ShardUndo;
  readonly image: ShardImage;
  readonly #deps: ShardDeps;
  readonly #state: ShardState;
  readonly #recent: RecentRows;
  readonly #gate = new WriteGate();
  readonly #configuring = new WriteGate();
  #catchingUp = false;
  /** The next time that points have been linked aside. */
  #linked = Promise.withResolvers<void>();

  constructor(deps: ShardDeps, parts: { folder: string; state: ShardState; image: ImageState }) {
    this.#deps = deps;
    this.folder = parts.folder;
    this.#state = parts.state;
    this.image = new ShardImage(deps, parts);
    const { state } = parts;
    const reader = this.#reader;
    this.#recent = new RecentRows({ reader, indexBytes: () => state.index.memoryBytes });
    this.reads = new ShardReads({ state, reader, recent: this.#recent, clock: deps.clock });
    const gate = this.#gate;
    const write = (op: WriteOp) => this.#write(op);
    const changing = { state, image: this.image, gate, reader, clock: deps.clock, write };
    this.undo = new ShardUndo(changing);
    this.levelling = new ShardLevelling({
      ...changing,
      pace: (points) => this.#pace(points),
      catchUp: () => this.#catchUp(),
    });
  }

  get descriptor(): ShardDescriptor {
    return this.#state.descriptor;
  }

  /** Whether it has to be opened anew. */
  get trapped(): boolean {
    return this.#state.index.trapped;
  }

  // --- writes: each resolves when it is durable and searchable, to the shard's version and what it
  // held then; with a room, one that would grow the shard more is refused

  async upsert(points: Upsert, byName: PointVectors): Promise<Written> {
    const vectors = onlyVector(byName);
    return this.#gate.shared(() => this.#writeVectors({ kind: 'upsert', ...points, vectors }));
  }

  async updateVectors(points: VectorsUpdate, byName: PointVectors): Promise<Written> {
    const vectors = onlyVector(byName);
    return this.#gate.shared(() => this.#writeVectors({ kind: 'vectors', ...points, vectors }));
  }

  delete({ points, ...numbered }: Request<'points-delete'>, deadline: Deadline): Promise<Written> {
    if (points.kind === 'ids') {
      const { ids } = points;
      const remove = () => {
        return this.#writeParts(numbered, ids, (part) => ({ kind: 'delete', ids: part }));
      };
      // Nothing may come between the parts: it would have a later version.
      const isOne = ids.length <= CHANGE_POINTS_MAX;
      return isOne ? this.#gate.shared(remove) : this.#gate.exclusive(remove);
    }
    return this.#gate.exclusive(async () => {
      const found = await this.reads.matching(points.filter, deadline);
      const changeOf = (labels: Uint32Array) => ({ kind: 'delete-labels', labels }) as const;
      return withWork(await this.#writeParts(numbered, found.labels, changeOf), found);
    });
  }

  updatePayload(request: Request<'payload-update'>, deadline: Deadline): Promise<Written> {
    const { points, change, room, ...numbered } = request;
    if (points.kind === 'ids') {
      const target = { ids: points.ids };
      return this.#gate.shared(() => {
        return this.#write({ kind: 'payload', ...numbered, target, change, room });
      });
    }
    return this.#gate.exclusive(async () => {
      const found = await this.reads.matching(points.filter, deadline);
      const start = this.#stored();
      const changeOf = (labels: Uint32Array, before = start): Change => {
        const left = room && { ...room, bytes: start.bytes + room.bytes - before.bytes };
        return { kind: 'payload', target: { labels }, change, room: left };
      };
      return withWork(await this.#writeParts(numbered, found.labels, changeOf), found);
    });
  }

  /** What is stored once every write that came before has ended. */
  async usage(): Promise<Written> {
    await this.#gate.idle();
    return this.#stored();
  }

  #stored(): Written {
    return this.#reader().usage();
  }

  async #writeVectors(op: Extract<WriteOp, { kind: 'upsert' | 'vectors' }>): Promise<Written> {
    // Before the commit: rows that no index can take would be acknowledged and never found.
    this.#state.index.assertRoom(op.ids.length);
    const written = await this.#write(op);
    // After the commit: one that waits before it is overtaken.
    await this.#pace(op.ids.length);
    return written;
  }

  /** Vectors that come faster than they are linked make every search scan more: their writers wait
   * for the building thread, though never for long. */
  async #pace(points: number): Promise<void> {
    if (!this.#state.index.backlogged) return;
    const { clock } = this.#deps;
    const deadline = Deadline.after(clock, Math.min(PACE_MS_MAX, PACE_MS_PER_POINT * points));
    while (this.#state.index.backlogged && !deadline.expired) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const cancel = clock.after(deadline.remainingMs(), resolve);
      this.#linked.promise.then(resolve);
      await promise.finally(cancel);
    }
  }

  /** The same change to many points, a commit for each part of them, all under one version; what
   * the last one answered. A part's change may depend on what the part before it answered. One
   * that takes effect once is a commit even when there is nothing to change. */
  async #writeParts<Keys extends PointId[] | Uint32Array>(
    numbered: Omit<Numbered, 'part'>,
    keys: Keys,
    changeOf: (part: Keys, before: Written | undefined) => Change,
  ): Promise<Written> {
    let written: Written | undefined;
    let changed = 0;
    const end = numbered.once === undefined ? keys.length : Math.max(1, keys.length);
    for (let at = 0; at < end; at += CHANGE_POINTS_MAX) {
      const next = at + CHANGE_POINTS_MAX;
      const change = changeOf(keys.slice(at, next) as Keys, written);
      const part = partOf(at === 0, next >= end);
      try {
        written = await this.#write({ ...change, ...numbered, ...part });
        if (written.repeated !== undefined) return written;
        changed += written.changed ?? 0;
      } catch (error) {
        throw at === 0 ? error : partlyDone(error, at, keys.length);
      }
    }
    return { ...(written ?? this.#stored()), changed };
  }

  async #write(op: WriteOp): Promise<Written> {
    if (this.trapped) throw new AppError('unavailable');
    try {
      const outcome = await this.#commit(op);
      await this.#apply(op, outcome);
      this.#deps.wake(this);
      const { version, points, bytes, digest, repeated } = outcome;
      const written = { version, points, bytes, digest };
      if (repeated !== undefined) return { ...written, repeated };
      return isCounted(op) ? { ...written, changed: outcome.labels.length } : written;
    } finally {
      if (this.#state.behind) this.#catchUpSoon();
    }
  }

  async #commit(op: WriteOp): Promise<WriteOutcome> {
    const ended = this.#recent.startWrite();
    try {
      const outcome = await this.#deps.store.write(this.folder, op);
      ended(outcome.labels);
      return outcome;
    } catch (error) {
      if (error instanceof AppError && NOTHING_CHANGED.has(error.code)) ended([]);
      else this.#state.lostTrack();
      throw error;
    }
  }

  /** What is committed and could not be applied is in the rows only, whatever the error says. */
  async #apply(op: WriteOp, outcome: WriteOutcome): Promise<void> {
    try {
      if (op.kind === 'undo') await this.undo.reread(outcome.labels);
      await this.#state.apply(op, outcome, this.#slices());
    } catch (cause) {
      // A trapped shard is read anew from its rows before anybody is answered.
      if (this.trapped) return;
      this.#state.lostTrack();
      throw new AppError('write_outcome_unknown', undefined, { cause });
    }
  }

  // --- catching up with the rows

  /** Runs alone as soon as the writes under way have ended; a failure leaves it to the next. */
  #catchUpSoon(): void {
    if (this.#catchingUp) return;
    this.#catchingUp = true;
    this.#gate
      .exclusive(() => this.#catchUp())
      .catch((error: unknown) => {
        const { shardId } = this.descriptor;
        this.#deps.log.event('shard_failed', { shardId, place: 'catch up', error });
      })
      .finally(() => {
        this.#catchingUp = false;
      });
  }

  async #catchUp(): Promise<void> {
    await this.#deps.store.settle(this.folder);
    const state = this.#state;
    const { index, payloads } = state;
    const slices = this.#slices();
    const reader = this.#reader();
    const rows = { version: reader.stats().version, ...reader.levelled() };
    await state.catchUp(rows, async (since) => {
      await replayRows(since, this.#reader, slices, (row) => {
        index.add(row.label, row.vector);
        if (payloads.size > 0) payloads.put(row.label, parsePayload(row.payload));
      });
      for (const label of await staleLabels(index, this.#reader, slices)) {
        index.remove(label);
        payloads.remove(label);
      }
    });
    this.#recent.reset();
    this.#deps.wake(this);
  }

  // --- configuration

  /**
   * Takes a new configuration; resolves when its new payload indexes are filled. Reads go on
   * meanwhile, and writes too while payload indexes are filled. One change at a time.
   */
  configure(descriptor: ShardDescriptor): Promise<number> {
    return this.#configuring.exclusive(async () => {
      const before = this.descriptor.config.hnsw;
      await writeDescriptor(this.folder, descriptor);
      this.#state.descriptor = descriptor;
      await this.#changeFields(descriptor.payloadIndexes);
      if (!isDeepStrictEqual(before, descriptor.config.hnsw)) {
        await this.#gate.exclusive(() => this.#rebuildIndex());
      }
      return this.#state.appliedVersion;
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
    try {
      await fillFields(payloads, added, this.#reader, this.#slices());
    } catch (error) {
      for (const field of added) payloads.removeField(field);
      throw error;
    }
    for (const field of added) payloads.finishField(field);
  }

  async #rebuildIndex(): Promise<void> {
    const old = this.#state.index;
    const { indexOptions, log } = this.#deps;
    const { shardId } = this.descriptor;
    const slices = this.#slices();
    const index = await indexOfRows(this.descriptor, indexOptions, this.#reader, slices);
    this.#state.index = new GuardedIndex(index, { shardId, log });
    await this.image.discard();
    old.close();
    this.#deps.wake(this);
  }

  // --- upkeep

  /** Links points until told to stop. False when that failed: nothing is lost, these points are
   * scanned until the next try. */
  link(untilDone: () => boolean): boolean {
    try {
      this.#state.index.link(untilDone);
      return true;
    } catch (error) {
      return this.#noteFailure(error);
    }
  }

  get linksAside(): boolean {
    return this.#state.index.linkAside !== undefined;
  }

  /** The same for some points and the building thread. */
  async linkAside(): Promise<boolean> {
    try {
      await this.#state.index.linkAside?.();
      this.#linked.resolve();
      this.#linked = Promise.withResolvers();
      return true;
    } catch (error) {
      return this.#noteFailure(error);
    }
  }

  #noteFailure(error: unknown): false {
    const { shardId } = this.descriptor;
    this.#deps.log.event('shard_failed', { shardId, place: 'link', error });
    return false;
  }

  get linkPending(): boolean {
    return this.#state.index.linkPending;
  }

  /** Whether an image would have most points in its graph. Under steady writes some always wait. */
  get nearlyLinked(): boolean {
    const { count, linked } = this.#state.index;
    return linked >= NEARLY * count;
  }

  /** Has what was removed erased from memory and image as well: linking and saving do it. */
  purge(): void {
    this.#recent.purge();
    this.#purgeUndo();
    if (this.#state.removedCount === 0) return;
    this.#state.index.purge();
    this.image.purge();
  }

  #purgeUndo(): void {
    this.undo.purge().then(
      (isLeft) => isLeft && this.#deps.wake(this),
      (error: unknown) => {
        const { shardId } = this.descriptor;
        this.#deps.log.event('shard_failed', { shardId, place: 'purge', error });
      },
    );
  }

  /** Waits for the writes and changes under way. */
  async idle(): Promise<void> {
    await this.#configuring.idle();
    await this.#gate.idle();
  }

  /** Frees what the garbage collector does not see. Nothing may be asked of the shard after. */
  close(): void {
    this.#state.index.close();
  }

  readonly #reader = (): PointsReader => this.#deps.store.reader(this.folder);

  #slices(): Slices {
    return new Slices(this.#deps.clock);
  }
}

/** Which of several commits one is; nothing of one that is alone. */
function partOf(isFirst: boolean, isLast: boolean): Pick<Numbered, 'part'> {
  if (isFirst) return isLast ? {} : { part: 'first' };
  return { part: isLast ? 'last' : 'middle' };
}

/** A change by filter tells what finding its points took. */
/** Of others their caller knows how many points they are for. */
function isCounted({ kind }: WriteOp): boolean {
  return kind === 'delete' || kind === 'delete-labels' || kind === 'payload';
}

function withWork(
  written: Written,
  { labels, examined }: { labels: Uint32Array; examined: number },
): Written {
  const changed = written.repeated === undefined ? labels.length : 0;
  return { ...written, work: { examined, changed } };
}

/**
 * The error of a change that broke off in its midst, saying how far it came. Beyond a quota every replica breaks
 * off at the same point; whatever else it is, the others may be further.
 */
function partlyDone(error: unknown, done: number, of: number): unknown {
  if (!(error instanceof AppError)) return error;
  const text = `${done} of ${of} points were changed, then: ${error.message}; repeat the request`;
  const code = error.code === 'quota_exceeded' ? error.code : 'write_outcome_unknown';
  return new AppError(code, text, { cause: error });
}

/** A shard has one table of vectors so far, that of the unnamed vector. */
function onlyVector(byName: PointVectors): Float32Array {
  const vectors = byName[UNNAMED_VECTOR];
  if (vectors === undefined) throw new AppError('invalid_argument', 'a point has its vector');
  return vectors;
}
