/**
 * The rows of one shard, changed one at a time within a transaction that the caller holds, with all that
 * follows from them: labels, checksums, tombstones, the state before, and the counters of `meta`. The
 * counters are kept in memory; the caller stores them before it commits and reloads them after a
 * rollback.
 *
 * Labels are dense: those in [0, nextLabel) are either a point's or in `free_labels`, so
 * `nextLabel - pointCount` is the number of free ones. The lowest free label is taken first.
 */
import type Database from 'better-sqlite3';
import { must } from '../../shared/base/assert.ts';
import { MetaTable, numberIn } from './meta-table.ts';
import { movedPayloadCheck, payloadCheck, rowSeed, vectorCheck } from './row-check.ts';
import { movedDigest, rowDigest } from './row-digest.ts';
import { type PayloadRow, prepareRowStatements, type RowStatements } from './row-statements.ts';
import { DamagedData } from './storage-errors.ts';
import { type UndoImage, UndoLog } from './undo-log.ts';

export interface Counters {
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

/** What a point has. */
interface Contents {
  payload: Buffer | null;
  vector: Buffer;
}

export class RowTable {
  readonly dimension: number;
  readonly #sql: RowStatements;
  readonly #meta: MetaTable;
  readonly #undoLog: UndoLog;
  #counters = NO_COUNTERS;
  /** Whether what is changed just now is kept as it was. */
  #keeps = false;

  /** Throws `DamagedData`. */
  constructor(db: Database.Database) {
    this.#sql = prepareRowStatements(db);
    this.#meta = new MetaTable(db);
    this.#undoLog = new UndoLog(db);
    this.dimension = numberIn(this.#meta.read(), 'dimension');
    this.loadCounters();
  }

  /** As they are now, to be changed in place where no row says it. */
  get counters(): Counters {
    return this.#counters;
  }

  /** Goes back to a copy that was made before a savepoint. */
  set counters(counters: Counters) {
    this.#counters = { ...counters };
  }

  /** Throws `DamagedData`. */
  loadCounters(): void {
    const meta = this.#meta.read();
    const loaded = { ...NO_COUNTERS };
    for (const name of Object.keys(loaded) as (keyof Counters)[]) {
      loaded[name] = numberIn(meta, name);
    }
    this.#counters = loaded;
  }

  saveCounters(): void {
    this.#meta.save({ ...this.#counters });
  }

  /** Of all points: their vectors and payloads. */
  get bytes(): number {
    const { point_count, payload_bytes } = this.#counters;
    return point_count * this.dimension * Float32Array.BYTES_PER_ELEMENT + payload_bytes;
  }

  /** Answers with the point's label. */
  put(key: Buffer, version: number, contents: Contents): number {
    const known = this.#sql.find.get(key);
    if (known === undefined) return this.#insert(key, version, contents);
    const { payload, vector } = contents;
    const [label, payloadBytes, before] = known;
    if (this.#keeps) this.#undoLog.keepRow(version, label);
    const checks = checksOf({ key, label, version }, contents);
    this.#sql.replace.run(version, ...checks, payload, vector, label);
    this.#counters.payload_bytes += lengthOf(payload) - payloadBytes;
    this.#countVersion(key, before, version);
    return label;
  }

  #insert(key: Buffer, version: number, contents: Contents): number {
    const { payload, vector } = contents;
    const label = this.#takeLabel();
    if (this.#keeps) this.#undoLog.keepNone(version, label, key);
    const checks = checksOf({ key, label, version }, contents);
    this.#sql.insert.run(label, key, version, ...checks, payload, vector);
    this.#counters.point_count += 1;
    this.#counters.payload_bytes += lengthOf(payload);
    this.#countVersion(key, undefined, version);
    if (this.#counters.tombstone_count > 0) {
      this.#counters.tombstone_count -= this.#sql.dropTombstone.run(key).changes;
    }
    return label;
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

  /** `version` is that of the delete. Answers with the label that is free now, if there was a row. */
  remove(key: Buffer, version: number): number | undefined {
    const known = this.#sql.find.get(key);
    if (known === undefined) return undefined;
    const [label, payloadBytes, before] = known;
    return this.#remove({ label, key, payloadBytes, version: before }, version);
  }

  /** The same by label. */
  removeLabel(label: number, version: number): number | undefined {
    const known = this.#sql.findByLabel.get(label);
    if (known === undefined) return undefined;
    const [key, payloadBytes, before] = known;
    return this.#remove({ label, key, payloadBytes, version: before }, version);
  }

  #remove(row: StoredRow, version: number): number {
    const { label, key, payloadBytes } = row;
    if (this.#keeps) this.#undoLog.keepRow(version, label);
    this.#sql.delete.run(label);
    this.#sql.addFreeLabel.run(label);
    this.#sql.addTombstone.run(key, version);
    this.#counters.point_count -= 1;
    this.#counters.payload_bytes -= payloadBytes;
    this.#countVersion(key, row.version, undefined);
    this.#counters.tombstone_count += 1;
    return label;
  }

  /** A tombstone for an id that has no row. */
  noteRemoved(key: Buffer, version: number): void {
    if (this.#sql.renewTombstone.run(version, key).changes > 0) return;
    this.#sql.addTombstone.run(key, version);
    this.#counters.tombstone_count += 1;
  }

  /** Answers with the point's label, if there is such a point. */
  replaceVector(key: Buffer, version: number, vector: Buffer): number | undefined {
    const known = this.#sql.find.get(key);
    if (known === undefined) return undefined;
    const [label, , before, check] = known;
    if (this.#keeps) this.#undoLog.keepRow(version, label);
    const moved = movedPayloadCheck(check, before, version);
    const newCheck = vectorCheck(rowSeed(key, label), vector);
    this.#sql.replaceVector.run(version, moved, newCheck, vector, label);
    this.#countVersion(key, before, version);
    return label;
  }

  /** The row with this id or label, for `replacePayload`. */
  payloadRow(key: Buffer | number): PayloadRow | undefined {
    return typeof key === 'number'
      ? this.#sql.payloadByLabel.get(key)
      : this.#sql.payloadById.get(key);
  }

  /** Throws `DamagedData`: what is damaged must not get a check that says it is not. */
  replacePayload(
    [label, key, before, check, stored]: PayloadRow,
    version: number,
    change: (payload: Buffer | null) => Buffer | null,
  ): Buffer | null {
    const seed = rowSeed(key, label);
    if (payloadCheck(seed, before, stored) !== check) throw new DamagedData('a payload to change');
    const payload = change(stored);
    if (this.#keeps) this.#undoLog.keepRow(version, label);
    this.#sql.replacePayload.run(version, payloadCheck(seed, version, payload), payload, label);
    this.#counters.payload_bytes += lengthOf(payload) - lengthOf(stored);
    this.#countVersion(key, before, version);
    return payload;
  }

  /** Drops the oldest tombstones over the bound, whole versions at a time. */
  pruneTombstones(max: number): void {
    const excess = this.#counters.tombstone_count - max;
    if (excess <= 0) return;
    const version = this.#sql.tombstoneVersionAt.get(excess - 1);
    const floor = must(version, 'tombstone_count counts the tombstones');
    this.#counters.tombstone_count -= this.#sql.pruneTombstones.run(floor).changes;
    this.#counters.tombstone_floor = Math.max(this.#counters.tombstone_floor, floor);
  }

  /** What is changed from here on is kept as it was. */
  startKeeping(): void {
    this.#keeps = true;
  }

  stopKeeping(): void {
    this.#keeps = false;
  }

  /** Writes up to that version stay. */
  settle(upTo: number): void {
    this.#undoLog.settle(upTo);
    this.#counters.undo_floor = Math.max(this.#counters.undo_floor, upTo);
  }

  /** Puts all rows back that writes above a version changed; `oldest` is the least of their versions. */
  undo(after: number): { labels: Uint32Array; oldest: number } {
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
    return { labels: Uint32Array.from(labels), oldest };
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
      if (tombstone !== null) this.noteRemoved(key, tombstone);
    } else if (known === undefined) {
      this.#sql.dropFreeLabel.run(label);
      this.#undoLog.insertRow(image);
      counters.point_count += 1;
      counters.tombstone_count -= this.#sql.dropTombstone.run(key).changes;
    } else {
      this.#undoLog.replaceRow(image);
    }
  }

  /** Everything that follows from the rows. */
  recount(): void {
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
}

function checksOf(
  { key, label, version }: { key: Buffer; label: number; version: number },
  { payload, vector }: Contents,
): [payload: number, vector: number] {
  const seed = rowSeed(key, label);
  return [payloadCheck(seed, version, payload), vectorCheck(seed, vector)];
}

function lengthOf(payload: Buffer | null): number {
  return payload === null ? 0 : payload.length;
}
