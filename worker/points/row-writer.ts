/**
 * One write as changes to rows, within a transaction that the caller holds. Keeps the counters of
 * `meta` in memory; the caller stores them before it commits and reloads them after a rollback.
 *
 * Labels are dense: those in [0, nextLabel) are either a point's or in `free_labels`, so
 * `nextLabel - pointCount` is the number of free ones. The lowest free label is taken first.
 */
import { isUtf8 } from 'node:buffer';
import type Database from 'better-sqlite3';
import { assert, must } from '../../shared/base/assert.ts';
import { type PayloadBytes, type PointId, pointIdToKey } from '../../shared/domain/point.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Room, Written } from '../../shared/protocol/schema.ts';
import { OnceRows } from './once-rows.ts';
import { compilePayloadChange } from './payload-change.ts';
import { movedDigest, rowDigest } from './row-digest.ts';
import { type PayloadRow, prepareRowStatements, type RowStatements } from './row-statements.ts';
import { readMeta } from './schema.ts';
import { type UndoImage, UndoLog } from './undo-log.ts';
import type { Change, Levelling, Numbered, Undo, WriteOp, WriteOutcome } from './write-op.ts';

interface Counters {
  last_version: number;
  next_label: number;
  point_count: number;
  /** Of all payloads. */
  payload_bytes: number;
  /** Of all rows; see `row-digest.ts`. */
  digest: number;
  tombstone_count: number;
  /** Tombstones of this version and earlier ones may be missing. */
  tombstone_floor: number;
  /** See the head of `schema.ts`. */
  levellings: number;
  replay_floor: number;
  /** Writes up to this version can not be undone. */
  undo_floor: number;
}

const NO_COUNTERS: Counters = {
  last_version: 0,
  next_label: 0,
  point_count: 0,
  payload_bytes: 0,
  digest: 0,
  tombstone_count: 0,
  tombstone_floor: 0,
  levellings: 0,
  replay_floor: 0,
  undo_floor: 0,
};

/** What is known of a row that is there. */
interface StoredRow {
  label: number;
  key: Buffer;
  payloadBytes: number;
  version: number;
}

const NO_LABELS = new Uint32Array();

type Changed = Pick<WriteOutcome, 'labels' | 'payloads'>;

export class RowWriter {
  readonly #sql: RowStatements;
  readonly #once: OnceRows;
  readonly #undoLog: UndoLog;
  readonly #dimension: number;
  readonly #tombstonesMax: number;
  #counters = NO_COUNTERS;
  /** Whether what is changed just now is kept as it was. */
  #keeps = false;

  constructor(db: Database.Database, options: { tombstonesMax: number }) {
    this.#sql = prepareRowStatements(db);
    this.#once = new OnceRows(db);
    this.#undoLog = new UndoLog(db);
    this.#dimension = readMeta(db).dimension;
    this.#tombstonesMax = options.tombstonesMax;
    this.loadCounters();
  }

  /** A copy, to go back to when a savepoint is rolled back. */
  get counters(): Counters {
    return { ...this.#counters };
  }

  set counters(counters: Counters) {
    this.#counters = { ...counters };
  }

  loadCounters(): void {
    const loaded = { ...NO_COUNTERS };
    for (const name of Object.keys(loaded) as (keyof Counters)[]) {
      loaded[name] = must(this.#sql.readCounter.get(name), `meta has ${name}`);
    }
    this.#counters = loaded;
  }

  saveCounters(): void {
    for (const [name, value] of Object.entries(this.#counters)) {
      this.#sql.saveCounter.run(value, name);
    }
  }

  /** Applies one op under its version. A throw leaves it half done: roll back. */
  apply(op: WriteOp): WriteOutcome {
    switch (op.kind) {
      case 'level': {
        const labels = this.#level(op);
        return { ...this.#held, labels, levellings: this.#counters.levellings };
      }
      case 'recount':
        this.#recount();
        return { ...this.#held, labels: NO_LABELS };
      case 'undo': {
        const labels = this.#undo(op);
        return { ...this.#held, labels, levellings: this.#counters.levellings };
      }
      case 'settle':
        this.#settle(op.upTo);
        return { ...this.#held, labels: NO_LABELS };
      default:
        return this.#applyChange(op);
    }
  }

  #applyChange(op: Change & Numbered): WriteOutcome {
    const repeated = this.#doneBefore(op);
    if (repeated !== undefined) return { ...this.#held, labels: NO_LABELS, repeated };
    const pointsBefore = this.#counters.point_count;
    const bytesBefore = this.#bytes;
    const { version } = op;
    this.#take(op);
    this.#startKeeping(op);
    const changed = this.#change(op, version);
    const held = this.#held;
    const room = 'room' in op ? op.room : undefined;
    if (room !== undefined) {
      refuseBeyond(room, held.points - pointsBefore, held.bytes - bytesBefore);
    }
    const isDone = op.part === undefined || op.part === 'last';
    if (op.once !== undefined && isDone) this.#once.record(op.once, version);
    return { ...held, ...changed };
  }

  /** The version under which the same write was done, if it takes effect once. */
  #doneBefore({ once, part }: Numbered): number | undefined {
    const begins = part === undefined || part === 'first';
    return once !== undefined && begins ? this.#once.find(once) : undefined;
  }

  #startKeeping({ version, undoable }: Numbered): void {
    this.#keeps = undoable !== undefined;
    if (undoable === undefined) this.#counters.undo_floor = version;
    else this.#settle(undoable.stable);
  }

  /** Writes up to that version stay. */
  #settle(upTo: number): void {
    this.#undoLog.settle(upTo);
    this.#counters.undo_floor = Math.max(this.#counters.undo_floor, upTo);
  }

  get #held(): Written {
    const { last_version: version, point_count: points, digest } = this.#counters;
    return { version, points, bytes: this.#bytes, digest };
  }

  #take({ version, part }: Numbered): void {
    const last = this.#counters.last_version;
    const isLater = part === 'middle' || part === 'last';
    if (version <= last && !(isLater && version === last)) {
      throw new AppError('stale_write', undefined, { detail: `${version} after ${last}` });
    }
    this.#counters.last_version = version;
  }

  get #bytes(): number {
    const { point_count, payload_bytes } = this.#counters;
    return point_count * this.#dimension * Float32Array.BYTES_PER_ELEMENT + payload_bytes;
  }

  #change(op: Change & Numbered, version: number): Changed {
    switch (op.kind) {
      case 'upsert':
        return { labels: this.#upsert(op, version) };
      case 'delete':
        return { labels: this.#deleteIds(op.ids, version) };
      case 'delete-labels':
        return { labels: this.#deleteLabels(op.labels, version) };
      case 'vectors':
        return { labels: this.#replaceVectors(op, version) };
      case 'payload':
        return this.#changePayloads(op, version);
    }
  }

  #upsert(op: Extract<WriteOp, { kind: 'upsert' }>, version: number): Uint32Array {
    const labels = new Uint32Array(op.ids.length);
    const vectorOf = this.#vectorBytes(op);
    assert(op.payloads.length === op.ids.length, 'one payload a point');
    op.ids.forEach((id, i) => {
      labels[i] = this.#put(id, version, op.payloads[i] ?? null, vectorOf(i));
    });
    return labels;
  }

  #put(id: PointId, version: number, bytes: PayloadBytes | null, vector: Buffer): number {
    const key = pointIdToKey(id);
    const payload = storable(bytes);
    const known = this.#sql.find.get(key);
    if (known === undefined) {
      const label = this.#takeLabel();
      this.#insert(label, key, version, payload, vector);
      return label;
    }
    const [label, payloadBytes, before] = known;
    if (this.#keeps) this.#undoLog.keepRow(version, label);
    this.#sql.replace.run(version, payload, vector, label);
    this.#counters.payload_bytes += lengthOf(payload) - payloadBytes;
    this.#countVersion(key, before, version);
    return label;
  }

  #insert(
    label: number,
    key: Buffer,
    version: number,
    payload: Buffer | null,
    vector: Buffer,
  ): void {
    if (this.#keeps) this.#undoLog.keepNone(version, label, key);
    this.#sql.insert.run(label, key, version, payload, vector);
    this.#counters.point_count += 1;
    this.#counters.payload_bytes += lengthOf(payload);
    this.#countVersion(key, undefined, version);
    if (this.#counters.tombstone_count > 0) {
      this.#counters.tombstone_count -= this.#sql.dropTombstone.run(key).changes;
    }
  }

  /** A row had that version before, and has this one now; undefined when it was or is not there. */
  #countVersion(key: Buffer, before: number | undefined, now: number | undefined): void {
    const out = before === undefined ? 0 : rowDigest(key, before);
    const into = now === undefined ? 0 : rowDigest(key, now);
    this.#counters.digest = movedDigest(this.#counters.digest, out, into);
  }

  #takeLabel(): number {
    const { next_label, point_count } = this.#counters;
    if (next_label > point_count) {
      return must(this.#sql.takeFreeLabel.get(), 'free_labels holds every label without a point');
    }
    this.#counters.next_label += 1;
    return next_label;
  }

  #deleteIds(ids: PointId[], version: number): Uint32Array {
    const freed: number[] = [];
    for (const id of ids) {
      const key = pointIdToKey(id);
      const known = this.#sql.find.get(key);
      if (known === undefined) continue;
      const [label, payloadBytes, before] = known;
      this.#delete({ label, key, payloadBytes, version: before }, version);
      freed.push(label);
    }
    return Uint32Array.from(freed);
  }

  #deleteLabels(labels: Uint32Array, version: number): Uint32Array {
    const freed: number[] = [];
    for (const label of labels) {
      const known = this.#sql.findByLabel.get(label);
      if (known === undefined) continue;
      const [key, payloadBytes, before] = known;
      this.#delete({ label, key, payloadBytes, version: before }, version);
      freed.push(label);
    }
    return Uint32Array.from(freed);
  }

  /** `version` is that of the delete. */
  #delete(row: StoredRow, version: number): void {
    const { label, key, payloadBytes } = row;
    if (this.#keeps) this.#undoLog.keepRow(version, label);
    this.#sql.delete.run(label);
    this.#sql.addFreeLabel.run(label);
    this.#sql.addTombstone.run(key, version);
    this.#counters.point_count -= 1;
    this.#counters.payload_bytes -= payloadBytes;
    this.#countVersion(key, row.version, undefined);
    this.#counters.tombstone_count += 1;
  }

  /** Drops the oldest tombstones over the bound, whole versions at a time. */
  pruneTombstones(): void {
    const excess = this.#counters.tombstone_count - this.#tombstonesMax;
    if (excess <= 0) return;
    const version = this.#sql.tombstoneVersionAt.get(excess - 1);
    const floor = must(version, 'tombstone_count counts the tombstones');
    this.#counters.tombstone_count -= this.#sql.pruneTombstones.run(floor).changes;
    this.#counters.tombstone_floor = Math.max(this.#counters.tombstone_floor, floor);
  }

  /** First the rows, then what is removed: memory takes it over in the same order. */
  #level(op: Levelling): Uint32Array {
    this.#keeps = false;
    this.#noteOutOfOrder(Math.min(...op.versions), op.imageLevellings);
    const vectorOf = this.#vectorBytes(op);
    const labels: number[] = [];
    op.ids.forEach((id, i) => {
      const version = must(op.versions[i], 'one version a point');
      labels.push(this.#put(id, version, op.payloads[i] ?? null, vectorOf(i)));
    });
    op.removedIds.forEach((id, i) => {
      const key = pointIdToKey(id);
      const version = must(op.removedVersions[i], 'one version a removed id');
      const known = this.#sql.find.get(key);
      if (known === undefined) this.#noteRemoved(key, version);
      else {
        const [label, payloadBytes, before] = known;
        this.#delete({ label, key, payloadBytes, version: before }, version);
        labels.push(label);
      }
    });
    const counters = this.#counters;
    const versions = [counters.last_version, op.lastVersion, ...op.versions, ...op.removedVersions];
    counters.last_version = Math.max(...versions);
    counters.undo_floor = counters.last_version;
    counters.tombstone_floor = Math.max(counters.tombstone_floor, op.floor);
    if (op.once !== undefined) this.#once.level(op.once);
    return Uint32Array.from(labels);
  }

  /** Rows are written under versions of which `oldest` is the least. */
  #noteOutOfOrder(oldest: number, imageLevellings: number | undefined): void {
    const counters = this.#counters;
    if (oldest > counters.last_version) return;
    const isImageLevel = imageLevellings === counters.levellings;
    const before = isImageLevel ? oldest : counters.replay_floor;
    counters.replay_floor = Math.min(oldest - 1, before);
    counters.levellings += 1;
  }

  /** Puts everything back that writes above a version changed. */
  #undo({ after, upTo, imageLevellings }: Undo): Uint32Array {
    const counters = this.#counters;
    const { last_version: last } = counters;
    if (last > upTo) throw new AppError('stale_write', undefined, { detail: `${last} to undo` });
    if (last > after && counters.undo_floor > after) {
      throw new AppError('conflict', 'writes that came since can not be undone');
    }
    const labels = new Set<number>();
    let oldest = Number.POSITIVE_INFINITY;
    for (;;) {
      const images = this.#undoLog.newest(after);
      if (images.length === 0) break;
      for (const image of images) {
        this.#putBack(image);
        this.#undoLog.drop(image);
        labels.add(image.label);
        oldest = Math.min(oldest, image.oldVersion ?? oldest);
      }
    }
    this.#once.undo(after);
    this.#noteOutOfOrder(oldest, imageLevellings);
    counters.last_version = upTo;
    return Uint32Array.from(labels);
  }

  #putBack(image: UndoImage): void {
    const { label, key, oldVersion, payloadBytes, tombstone } = image;
    const counters = this.#counters;
    const known = this.#sql.findByLabel.get(label);
    const [, bytesNow = 0, versionNow] = known ?? [];
    this.#countVersion(key, versionNow, oldVersion ?? undefined);
    counters.payload_bytes += payloadBytes - bytesNow;
    if (oldVersion === null) {
      this.#sql.delete.run(label);
      this.#sql.addFreeLabel.run(label);
      counters.point_count -= 1;
      if (tombstone !== null) this.#noteRemoved(key, tombstone);
    } else if (known === undefined) {
      this.#sql.dropFreeLabel.run(label);
      this.#undoLog.insertRow(image);
      counters.point_count += 1;
      counters.tombstone_count -= this.#sql.dropTombstone.run(key).changes;
    } else {
      this.#undoLog.replaceRow(image);
    }
  }

  /** A tombstone for an id that has no row. */
  #noteRemoved(key: Buffer, version: number): void {
    if (this.#sql.renewTombstone.run(version, key).changes > 0) return;
    this.#sql.addTombstone.run(key, version);
    this.#counters.tombstone_count += 1;
  }

  /** Everything that follows from the rows. */
  #recount(): void {
    const counters = this.#counters;
    const [points, payloadBytes, nextLabel] = must(this.#sql.countRows.get(), 'a count is a row');
    counters.point_count = points;
    counters.payload_bytes = payloadBytes;
    counters.tombstone_count = must(this.#sql.countTombstones.get(), 'a count is a row');
    counters.next_label = nextLabel;
    this.#sql.clearFreeLabels.run();
    this.#sql.findFreeLabels.run();
    let digest = 0;
    for (const [key, version] of this.#sql.allVersions.iterate()) {
      digest = movedDigest(digest, 0, rowDigest(key, version));
    }
    counters.digest = digest;
  }

  #replaceVectors(op: Extract<WriteOp, { kind: 'vectors' }>, version: number): Uint32Array {
    const vectorOf = this.#vectorBytes(op);
    return Uint32Array.from(op.ids, (id, i) => {
      const key = pointIdToKey(id);
      const known = this.#sql.find.get(key);
      if (known === undefined) throw pointNotFound(id);
      const [label, , before] = known;
      if (this.#keeps) this.#undoLog.keepRow(version, label);
      this.#sql.replaceVector.run(version, vectorOf(i), label);
      this.#countVersion(key, before, version);
      return label;
    });
  }

  #changePayloads(op: Extract<WriteOp, { kind: 'payload' }>, version: number): Changed {
    const change = compilePayloadChange(op.change);
    const labels: number[] = [];
    const payloads: (PayloadBytes | null)[] = [];
    const apply = ([label, key, before, stored]: PayloadRow) => {
      const payload = storable(change(stored));
      if (this.#keeps) this.#undoLog.keepRow(version, label);
      this.#sql.replacePayload.run(version, payload, label);
      this.#counters.payload_bytes += lengthOf(payload) - lengthOf(stored);
      this.#countVersion(key, before, version);
      labels.push(label);
      payloads.push(payload);
    };
    if ('ids' in op.target) {
      for (const id of op.target.ids) {
        const row = this.#sql.payloadById.get(pointIdToKey(id));
        if (row === undefined) throw pointNotFound(id);
        apply(row);
      }
    } else {
      for (const label of op.target.labels) {
        const row = this.#sql.payloadByLabel.get(label);
        if (row !== undefined) apply(row);
      }
    }
    return { labels: Uint32Array.from(labels), payloads };
  }

  /** The bytes of the i-th vector of an op. */
  #vectorBytes(op: { ids: PointId[]; vectors: Float32Array }): (i: number) => Buffer {
    const { buffer, byteOffset, length } = op.vectors;
    assert(length === op.ids.length * this.#dimension, 'one vector of the dimension a point');
    const bytes = this.#dimension * Float32Array.BYTES_PER_ELEMENT;
    return (i) => Buffer.from(buffer, byteOffset + i * bytes, bytes);
  }
}

function lengthOf(payload: Buffer | null): number {
  return payload === null ? 0 : payload.length;
}

/** The coordinator, which knows the plan, says to the caller what it is that is full. */
function refuseBeyond(room: Room, points: number, bytes: number): void {
  if (points <= room.points && bytes <= room.bytes) return;
  const text = `the write adds ${points} points and ${bytes} bytes, more than its room`;
  throw new AppError('quota_exceeded', text);
}

/** Readers take payloads as text, so bytes that are no text must never get in. */
function storable(payload: PayloadBytes | null): Buffer | null {
  if (payload === null) return null;
  assert(isUtf8(payload), 'a payload is UTF-8 text');
  return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength);
}

function pointNotFound(id: PointId): AppError {
  return new AppError('point_not_found', `point ${id} does not exist`);
}
