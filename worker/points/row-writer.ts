/**
 * One write as changes to rows, within a transaction that the caller holds: which version it has,
 * whether it was done before, what may be undone. What a change to a row takes is in `row-table.ts`.
 */
import { isUtf8 } from 'node:buffer';
import type Database from 'better-sqlite3';
import { assert, must } from '../../shared/base/assert.ts';
import { type PayloadBytes, type PointId, pointIdToKey } from '../../shared/domain/point.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Room, Written } from '../../shared/protocol/schema.ts';
import { type Amount, MeterRows } from './meter-rows.ts';
import { OnceRows } from './once-rows.ts';
import { compilePayloadChange } from './payload-change.ts';
import type { PayloadRow } from './row-statements.ts';
import { type Counters, RowTable } from './row-table.ts';
import {
  type Change,
  growthBytes,
  type Levelling,
  type Numbered,
  type Undo,
  type WriteOp,
  type WriteOutcome,
} from './write-op.ts';

const NO_LABELS = new Uint32Array();

type Changed = Pick<WriteOutcome, 'labels' | 'payloads'>;

export class RowWriter {
  readonly #rows: RowTable;
  readonly #once: OnceRows;
  readonly #meter: MeterRows;
  readonly #tombstonesMax: number;

  /** Throws `DamagedData`. */
  constructor(db: Database.Database, options: { tombstonesMax: number }) {
    this.#rows = new RowTable(db);
    this.#once = new OnceRows(db);
    this.#meter = new MeterRows(db);
    this.#tombstonesMax = options.tombstonesMax;
  }

  /** A copy, to go back to when a savepoint is rolled back. */
  get counters(): Counters {
    return { ...this.#rows.counters };
  }

  set counters(counters: Counters) {
    this.#rows.counters = counters;
  }

  /** Throws `DamagedData`. */
  loadCounters(): void {
    this.#rows.loadCounters();
  }

  saveCounters(): void {
    this.#rows.saveCounters();
  }

  pruneTombstones(): void {
    this.#rows.pruneTombstones(this.#tombstonesMax);
  }

  /** Applies one op under its version. A throw leaves it half done: roll back. */
  apply(op: WriteOp): WriteOutcome {
    switch (op.kind) {
      case 'level': {
        const labels = this.#level(op);
        return { ...this.#held, labels, levellings: this.#rows.counters.levellings };
      }
      case 'recount':
        this.#rows.recount();
        return { ...this.#held, labels: NO_LABELS };
      case 'undo': {
        const labels = this.#undo(op);
        return { ...this.#held, labels, levellings: this.#rows.counters.levellings };
      }
      case 'settle':
        this.#rows.settle(op.upTo);
        return { ...this.#held, labels: NO_LABELS };
      default:
        return this.#applyChange(op);
    }
  }

  #applyChange(op: Change & Numbered): WriteOutcome {
    const repeated = this.#doneBefore(op);
    if (repeated !== undefined) return { ...this.#held, labels: NO_LABELS, repeated };
    const before = this.#held;
    const { version } = op;
    this.#take(op);
    this.#startKeeping(op);
    const changed = this.#change(op, version);
    const held = this.#held;
    const room = 'room' in op ? op.room : undefined;
    if (room !== undefined) {
      refuseBeyond(room, held.points - before.points, held.bytes - before.bytes);
    }
    const isDone = op.part === undefined || op.part === 'last';
    if (op.once !== undefined && isDone) this.#once.record(op.once, version);
    if (op.meter !== undefined) this.#meter.record(version, op.meter, amountOf(op, changed.labels));
    if (op.metered !== undefined) this.#meter.forget(op.metered);
    return { ...held, ...changed };
  }

  /** The version under which the same write was done, if it takes effect once. */
  #doneBefore({ once, part }: Numbered): number | undefined {
    const begins = part === undefined || part === 'first';
    return once !== undefined && begins ? this.#once.find(once) : undefined;
  }

  #startKeeping({ version, undoable }: Numbered): void {
    if (undoable === undefined) {
      this.#rows.stopKeeping();
      this.#rows.counters.undo_floor = version;
    } else {
      this.#rows.startKeeping();
      this.#rows.settle(undoable.stable);
    }
  }

  get #held(): Written {
    const { last_version: version, point_count: points, digest } = this.#rows.counters;
    return { version, points, bytes: this.#rows.bytes, digest };
  }

  #take({ version, part }: Numbered): void {
    const last = this.#rows.counters.last_version;
    const isLater = part === 'middle' || part === 'last';
    if (version <= last && !(isLater && version === last)) {
      throw new AppError('stale_write', undefined, { detail: `${version} after ${last}` });
    }
    this.#rows.counters.last_version = version;
  }

  #change(op: Change & Numbered, version: number): Changed {
    switch (op.kind) {
      case 'upsert':
        return { labels: this.#upsert(op, version) };
      case 'delete': {
        const freed = op.ids.map((id) => this.#rows.remove(pointIdToKey(id), version));
        return { labels: labelsOf(freed) };
      }
      case 'delete-labels': {
        const freed = Array.from(op.labels, (label) => this.#rows.removeLabel(label, version));
        return { labels: labelsOf(freed) };
      }
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
      const contents = { payload: storable(op.payloads[i] ?? null), vector: vectorOf(i) };
      labels[i] = this.#rows.put(pointIdToKey(id), version, contents);
    });
    return labels;
  }

  /** First the rows, then what is removed: memory takes it over in the same order. */
  #level(op: Levelling): Uint32Array {
    const rows = this.#rows;
    rows.stopKeeping();
    this.#noteOutOfOrder(Math.min(...op.versions), op.imageLevellings);
    const vectorOf = this.#vectorBytes(op);
    const labels = op.ids.map((id, i) => {
      const version = must(op.versions[i], 'one version a point');
      const contents = { payload: storable(op.payloads[i] ?? null), vector: vectorOf(i) };
      return rows.put(pointIdToKey(id), version, contents);
    });
    op.removedIds.forEach((id, i) => {
      const key = pointIdToKey(id);
      const version = must(op.removedVersions[i], 'one version a removed id');
      const label = rows.remove(key, version);
      if (label === undefined) rows.noteRemoved(key, version);
      else labels.push(label);
    });
    const { counters } = rows;
    const versions = [counters.last_version, op.lastVersion, ...op.versions, ...op.removedVersions];
    counters.last_version = Math.max(...versions);
    counters.undo_floor = counters.last_version;
    counters.tombstone_floor = Math.max(counters.tombstone_floor, op.floor);
    if (op.once !== undefined) this.#once.level(op.once);
    if (op.isLast) this.#meter.clear();
    return Uint32Array.from(labels);
  }

  /** Rows are written under versions of which `oldest` is the least. */
  #noteOutOfOrder(oldest: number, imageLevellings: number | undefined): void {
    const { counters } = this.#rows;
    if (oldest > counters.last_version) return;
    const isImageLevel = imageLevellings === counters.levellings;
    const before = isImageLevel ? oldest : counters.replay_floor;
    counters.replay_floor = Math.min(oldest - 1, before);
    counters.levellings += 1;
  }

  /** Puts everything back that writes above a version changed. */
  #undo({ after, upTo, imageLevellings }: Undo): Uint32Array {
    const { counters } = this.#rows;
    const { last_version: last } = counters;
    if (last > upTo) throw new AppError('stale_write', undefined, { detail: `${last} to undo` });
    if (last > after && counters.undo_floor > after) {
      throw new AppError('conflict', 'writes that came since can not be undone');
    }
    const { labels, oldest } = this.#rows.undo(after);
    this.#once.undo(after);
    this.#meter.undo(after);
    this.#noteOutOfOrder(oldest, imageLevellings);
    counters.last_version = upTo;
    return labels;
  }

  #replaceVectors(op: Extract<WriteOp, { kind: 'vectors' }>, version: number): Uint32Array {
    const vectorOf = this.#vectorBytes(op);
    return Uint32Array.from(op.ids, (id, i) => {
      const label = this.#rows.replaceVector(pointIdToKey(id), version, vectorOf(i));
      if (label === undefined) throw pointNotFound(id);
      return label;
    });
  }

  #changePayloads(op: Extract<WriteOp, { kind: 'payload' }>, version: number): Changed {
    const change = compilePayloadChange(op.change);
    const labels: number[] = [];
    const payloads: (PayloadBytes | null)[] = [];
    const apply = (row: PayloadRow) => {
      labels.push(row[0]);
      payloads.push(this.#rows.replacePayload(row, version, (stored) => storable(change(stored))));
    };
    if ('ids' in op.target) {
      for (const id of op.target.ids) {
        const row = this.#rows.payloadRow(pointIdToKey(id));
        if (row === undefined) throw pointNotFound(id);
        apply(row);
      }
    } else {
      for (const label of op.target.labels) {
        const row = this.#rows.payloadRow(label);
        if (row !== undefined) apply(row);
      }
    }
    return { labels: Uint32Array.from(labels), payloads };
  }

  /** The bytes of the i-th vector of an op. */
  #vectorBytes(op: { ids: PointId[]; vectors: Float32Array }): (i: number) => Buffer {
    const { buffer, byteOffset, length } = op.vectors;
    const { dimension } = this.#rows;
    assert(length === op.ids.length * dimension, 'one vector of the dimension a point');
    const bytes = dimension * Float32Array.BYTES_PER_ELEMENT;
    return (i) => Buffer.from(buffer, byteOffset + i * bytes, bytes);
  }
}

/** What a change came to that changed the points with these labels. */
function amountOf(change: Change, labels: Uint32Array): Amount {
  const none = { written: 0, deleted: 0, bytes: 0 };
  switch (change.kind) {
    case 'upsert':
    case 'vectors':
      return { ...none, written: labels.length, bytes: growthBytes(change) };
    case 'payload': {
      const each = 'payload' in change.change ? change.change.payload.length : 0;
      return { ...none, written: labels.length, bytes: labels.length * each };
    }
    case 'delete':
    case 'delete-labels':
      return { ...none, deleted: labels.length };
  }
}

/** Of those that had one. */
function labelsOf(labels: readonly (number | undefined)[]): Uint32Array {
  return Uint32Array.from(labels.filter((label) => label !== undefined));
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
