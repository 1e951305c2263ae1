/**
 * Reads of one shard's rows on a connection that can not write. Every call takes its read
 * transactions itself and they are over when it returns, so it never holds up a checkpoint. Rows
 * show the last commit, which may be newer than what the index holds.
 *
 * Reads are for the thread that searches, so each call ends after `READ_ROWS_MAX` rows or about
 * `READ_BYTES_MAX` bytes: it may answer for the first part of what was asked only, and its caller
 * goes on from there in its next slice. One entry at least; an empty answer means the end.
 *
 * Ids and payloads leave SQLite as text: making a JavaScript string is several times cheaper than
 * making a buffer, and a search that returns ten points makes twenty of them. For the same reason
 * the rows of several labels are read by one statement, in two thirds of the time of a statement
 * a row. A memory map would take a quarter more off, but then a bad sector under one client's shard
 * is a signal that kills the worker of all, and not an error of that shard.
 *
 * Payloads, vectors and counters are held against their checksums (`row-check.ts`, `meta-table.ts`)
 * whenever they are read; what is not what was written is a `DamagedData`.
 */
import type Database from 'better-sqlite3';
import { must } from '../../shared/base/assert.ts';
import {
  type PayloadBytes,
  type PointId,
  pointIdToKey,
  type Uuid,
} from '../../shared/domain/point.ts';
import type { Reply, Request } from '../../shared/protocol/messages.ts';
import type { OnceMark, OnceRow } from '../../shared/protocol/once.ts';
import type { Range, Written } from '../../shared/protocol/schema.ts';
import { checkDatabase } from './integrity.ts';
import { MetaTable, numberIn } from './meta-table.ts';
import { newestNote, readMeter } from './meter-rows.ts';
import { onceRowsAfter } from './once-rows.ts';
import { payloadCheck, rowSeedOfHex, vectorCheck } from './row-check.ts';
import { openForReads } from './schema.ts';
import { DamagedData } from './storage-errors.ts';
import { hasImages } from './undo-log.ts';

export interface PointRow {
  label: number;
  id: PointId;
  version: number;
  /** Null also when payloads were not wanted. */
  payload: PayloadBytes | null;
  /** Empty when vectors were not wanted. */
  vector: Float32Array;
}

/** The columns that cost something. */
export interface Want {
  payload: boolean;
  vector: boolean;
}

export interface PointsReaderOptions {
  checked?: boolean;
  changedSortedMax?: number;
}

export interface PointsStats {
  count: number;
  /** Of the last write. */
  version: number;
  /** -1 when there are no points. */
  labelMax: number;
}

/** See the head of `schema.ts`. */
export interface Levelled {
  levellings: number;
  replayFloor: number;
}

export interface Removed {
  id: PointId;
  version: number;
}

export interface VersionedLabel {
  version: number;
  label: number;
}

/** What is not wanted is null. Of a damaged file, anything may be of another type. */
type RawRow = [
  label: number,
  idHex: string,
  version: number,
  payloadCheck: number | null,
  payload: string | null | typeof LONG,
  vectorCheck: number | null,
  vector: Buffer | null,
];

/** Stands for a payload that is left out of a read of several rows. */
const LONG = 1;
const COUNTERS = [
  'point_count',
  'last_version',
  'payload_bytes',
  'digest',
  'dimension',
  'levellings',
  'replay_floor',
  'tombstone_floor',
] as const;
const NO_VECTOR = new Float32Array(0);
/** Below and above the keys of all ids, which begin with 0 or 1. */
const KEY_MIN = Buffer.alloc(0);
const KEY_MAX = Buffer.of(2);
/** Bounds of one read, a millisecond or two of work. */
const READ_ROWS_MAX = 256;
const READ_BYTES_MAX = 2 ** 20;
/** Rows that one statement reads by their labels. A search asks for ten. */
const LABELS_PER_STATEMENT = 16;
/** A longer payload is read by a statement of its own, so that the bound above holds. */
const SHORT_PAYLOAD_BYTES = READ_BYTES_MAX / LABELS_PER_STATEMENT;
const GIVEN_LABELS = Array(LABELS_PER_STATEMENT).fill('(?)').join(', ');
const LABELS_MAX = 2_000;
/** Up to this many changed rows are found through the index on version; more by a walk. */
const CHANGED_SORTED_MAX = 50_000;

export class PointsReader {
  readonly #db: Database.Database;
  readonly #checked: boolean;
  readonly #changedSortedMax: number;
  readonly #statements = new Map<string, Database.Statement<unknown[], RawRow>>();
  readonly #labelOf: Database.Statement<[Buffer], number>;
  #labels: Database.Statement<[number, number, number], VersionedLabel> | undefined;
  readonly #labelMax: Database.Statement<[], number>;
  readonly #meta: MetaTable;
  readonly #begin: Database.Statement;
  readonly #end: Database.Statement;

  /**
   * With `checked` false rows are given as they are, for comparing and mending them. Throws when the
   * database is not there or not sound. `changedSortedMax`: see `changedSince`; for tests.
   */
  constructor(folder: string, options: PointsReaderOptions = {}) {
    const { checked = true, changedSortedMax = CHANGED_SORTED_MAX } = options;
    this.#checked = checked;
    this.#changedSortedMax = changedSortedMax;
    this.#db = openForReads(folder);
    try {
      this.#labelOf = this.#db
        .prepare<[Buffer], number>('SELECT label FROM points WHERE id = ?')
        .pluck();
      this.#labelMax = this.#db
        .prepare<[], number>('SELECT ifnull(max(label), -1) FROM points')
        .pluck();
      this.#meta = new MetaTable(this.#db);
      this.#begin = this.#db.prepare('BEGIN');
      this.#end = this.#db.prepare('COMMIT');
    } catch (error) {
      this.#db.close();
      throw error;
    }
  }

  close(): void {
    this.#db.close();
  }

  /** Of the database, its log not counted. */
  get bytes(): number {
    const pages = Number(this.#db.pragma('page_count', { simple: true }));
    return pages * Number(this.#db.pragma('page_size', { simple: true }));
  }

  /** Whether the database is sound as a whole (`integrity.ts`). Throws when it is not. */
  checkWhole(): void {
    checkDatabase(this.#db);
  }

  /** One entry a label, in the order given, for the first of them. */
  byLabels(labels: ArrayLike<number>, want: Want): (PointRow | undefined)[] {
    const read = () => this.#byLabels(labels, want);
    return labels.length > LABELS_PER_STATEMENT ? this.#snapshot(read) : read();
  }

  #byLabels(labels: ArrayLike<number>, want: Want): (PointRow | undefined)[] {
    const entries: (PointRow | undefined)[] = [];
    let bytes = 0;
    const end = Math.min(labels.length, READ_ROWS_MAX);
    while (entries.length < end && bytes < READ_BYTES_MAX) {
      const from = entries.length;
      const until = Math.min(end, from + LABELS_PER_STATEMENT);
      const found = this.#found(labels, { from, until }, want);
      let next = 0;
      for (let i = from; i < until && bytes < READ_BYTES_MAX; i += 1) {
        const raw = found[next];
        const isThere = raw !== undefined && raw[0] === labels[i];
        const row = isThere ? this.#whole(raw, want) : undefined;
        next += isThere ? 1 : 0;
        bytes += sizeOf(row);
        entries.push(row);
      }
    }
    return entries;
  }

  /** The rows that are there, in the order of `labels`; long payloads are left out of them. */
  #found(
    labels: ArrayLike<number>,
    { from, until }: { from: number; until: number },
    want: Want,
  ): RawRow[] {
    const params: (number | null)[] = Array(LABELS_PER_STATEMENT).fill(null);
    for (let i = from; i < until; i += 1) params[i - from] = labels[i] as number;
    return this.#selectGiven(want).all(...params);
  }

  #whole(raw: RawRow, want: Want): PointRow | undefined {
    const label = raw[0];
    if (raw[4] !== LONG) return this.#row(raw, want);
    return this.#rowOr(this.#select('WHERE label = ?', want).get(label), want);
  }

  /** Throws `DamagedData` when what is wanted is not what was written. */
  #row(raw: RawRow, want: Want): PointRow {
    const [label, idHex, version, , text, , bytes] = raw;
    if (idHex.length !== INTEGER_HEX_LENGTH && idHex.length !== UUID_HEX_LENGTH) {
      throw new DamagedData('an id');
    }
    const payload = typeof text === 'string' ? Buffer.from(text, 'utf8') : null;
    if (this.#checked && (want.payload || want.vector)) checkRow(raw, payload, want);
    const vector = Buffer.isBuffer(bytes) ? floatsOf(bytes) : NO_VECTOR;
    return { label, id: pointIdFromHex(idHex), version, payload, vector };
  }

  #rowOr(raw: RawRow | undefined, want: Want): PointRow | undefined {
    return raw === undefined ? undefined : this.#row(raw, want);
  }

  /** One entry an id, in the order given, for the first of them. */
  byIds(ids: readonly PointId[], want: Want): (PointRow | undefined)[] {
    const statement = this.#select('WHERE id = ?', want);
    return this.#first(ids, (id) => {
      const row = this.#rowOr(statement.get(pointIdToKey(id)), want);
      if (row !== undefined && row.id !== id) throw new DamagedData('an entry of the index of ids');
      return row;
    });
  }

  labelsOf(ids: readonly PointId[]): (number | undefined)[] {
    return this.#snapshot(() => ids.map((id) => this.#labelOf.get(pointIdToKey(id))));
  }

  /** Rows in the order of their ids, from `fromId` on. */
  page(fromId: PointId | undefined, limit: number, want: Want): PointRow[] {
    if (fromId === undefined) return this.#rows('ORDER BY id LIMIT ?', [limit], want);
    return this.#rows('WHERE id >= ? ORDER BY id LIMIT ?', [pointIdToKey(fromId), limit], want);
  }

  /** Rows in the order of their ids, after `afterId`. */
  pageAfter(afterId: PointId, limit: number, want: Want): PointRow[] {
    return this.#rows('WHERE id > ? ORDER BY id LIMIT ?', [pointIdToKey(afterId), limit], want);
  }

  /** Rows from one id on (or after one) and before another, in the order of ids. */
  range(
    { from, after, until }: Range & { after?: PointId | undefined },
    limit: number,
    want: Want,
  ): PointRow[] {
    const first = after ?? from;
    const above = after === undefined ? '>=' : '>';
    const start = first === undefined ? KEY_MIN : pointIdToKey(first);
    const end = until === undefined ? KEY_MAX : pointIdToKey(until);
    const where = `WHERE id ${above} ? AND id < ? ORDER BY id LIMIT ?`;
    return this.#rows(where, [start, end, limit], want);
  }

  /** Rows in the order of their labels, after `afterLabel` (-1: from the first). */
  scan(afterLabel: number, limit: number, want: Want): PointRow[] {
    return this.#rows('WHERE label > ? ORDER BY label LIMIT ?', [afterLabel, limit], want);
  }

  /**
   * Whole rows that are newer than `version`, and not than `upTo`, in the order of their labels, after
   * `afterLabel`. Few changes are sorted for each page; where that would cost more, the table is walked.
   */
  changedSince(
    version: number,
    afterLabel: number,
    limit: number,
    upTo = Number.MAX_SAFE_INTEGER,
  ): PointRow[] {
    const few = this.#changedUpTo(version, this.#changedSortedMax) < this.#changedSortedMax;
    const where = few
      ? `WHERE label IN (SELECT label FROM points INDEXED BY points_by_version
           WHERE version > ? AND version <= ? AND label > ? ORDER BY label LIMIT ?) ORDER BY label`
      : 'NOT INDEXED WHERE +version > ? AND +version <= ? AND label > ? ORDER BY label LIMIT ?';
    return this.#rows(where, [version, upTo, afterLabel, limit], { payload: true, vector: true });
  }

  #changedUpTo(version: number, limit: number): number {
    const sql = `SELECT count(*) FROM (SELECT 1 FROM points INDEXED BY points_by_version
                 WHERE version > ? LIMIT ?)`;
    return must(this.#db.prepare<[number, number], number>(sql).pluck().get(version, limit), sql);
  }

  /**
   * Labels that points have, in the order of (version, label), which is that of an index without
   * the rows; up to `LABELS_MAX` of those after the last one of the page before.
   */
  labelsPage(after: VersionedLabel | undefined): VersionedLabel[] {
    const { version, label } = after ?? { version: -1, label: -1 };
    this.#labels ??= this.#db.prepare<[number, number, number], VersionedLabel>(
      `SELECT version, label FROM points INDEXED BY points_by_version
        WHERE (version, label) > (?, ?) ORDER BY version, label LIMIT ?`,
    );
    return this.#labels.all(version, label, LABELS_MAX);
  }

  stats(): PointsStats {
    const { point_count: count, last_version: version } = this.#counters();
    return { count, version, labelMax: must(this.#labelMax.get(), 'a maximum is a row') };
  }

  levelled(): Levelled {
    const { levellings, replay_floor: replayFloor } = this.#counters();
    return { levellings, replayFloor };
  }

  /** Tombstones of this version and earlier ones may be missing. */
  tombstoneFloor(): number {
    return this.#counters().tombstone_floor;
  }

  /** Deleted ids in the order of version and id: those newer than `version`, after `after`. */
  removedSince(version: number, after: Removed | undefined, limit: number): Removed[] {
    const sql = `SELECT hex(id), version FROM tombstones
                  WHERE (version, id) > (?, ?) ORDER BY version, id LIMIT ?`;
    const last = after?.version ?? version;
    const key = after === undefined ? KEY_MAX : pointIdToKey(after.id);
    const statement = this.#db.prepare<[number, Buffer, number], [string, number]>(sql).raw();
    const rows = statement.all(last, key, limit);
    return rows.map(([idHex, removedIn]) => ({ id: pointIdFromHex(idHex), version: removedIn }));
  }

  /** Writes that take effect once, in the order of version and key. */
  onceAfter(mark: OnceMark, limit: number): OnceRow[] {
    return onceRowsAfter(this.#db, mark, limit);
  }

  /** Whether rows are kept as writes up to that version found them; see `undo-log.ts`. */
  keepsImages(upTo: number): boolean {
    return hasImages(this.#db, upTo);
  }

  /** See `meter-read`. Throws `DamagedData`. */
  metered({ after, upTo }: Request<'meter-read'>): Reply<'meter-read'> {
    return this.#snapshot(() => {
      const { last_version: last } = this.#counters();
      return readMeter(this.#db, { after, upTo: Math.min(upTo, last) });
    });
  }

  /** The highest version of which there is a note (`metered`); 0 when there is none. */
  newestNote(): number {
    return newestNote(this.#db);
  }

  /** What the shard held after its last write. */
  usage(): Written {
    const counters = this.#counters();
    const { last_version: version, point_count: points, digest } = counters;
    const vectorBytes = points * counters.dimension * Float32Array.BYTES_PER_ELEMENT;
    return { version, points, bytes: vectorBytes + counters.payload_bytes, digest };
  }

  #counters(): Record<(typeof COUNTERS)[number], number> {
    const meta = this.#meta.read();
    const counters = COUNTERS.map((name) => [name, numberIn(meta, name)] as const);
    return Object.fromEntries(counters) as Record<(typeof COUNTERS)[number], number>;
  }

  #rows(rest: string, params: unknown[], want: Want): PointRow[] {
    const rows: PointRow[] = [];
    let bytes = 0;
    for (const raw of this.#select(rest, want).iterate(...params)) {
      const row = this.#row(raw, want);
      bytes += sizeOf(row);
      if (rows.push(row) === READ_ROWS_MAX || bytes >= READ_BYTES_MAX) break;
    }
    return rows;
  }

  #first<Key>(
    keys: ArrayLike<Key>,
    read: (key: Key) => PointRow | undefined,
  ): (PointRow | undefined)[] {
    return this.#snapshot(() => {
      const entries: (PointRow | undefined)[] = [];
      let bytes = 0;
      const end = Math.min(keys.length, READ_ROWS_MAX);
      while (entries.length < end && bytes < READ_BYTES_MAX) {
        const row = read(keys[entries.length] as Key);
        bytes += sizeOf(row);
        entries.push(row);
      }
      return entries;
    });
  }

  /** Several reads see the same commit, and take the read lock once. Not for those that give rows by
   * label or id, which do so themselves. */
  snapshot<T>(read: () => T): T {
    return this.#snapshot(read);
  }

  #snapshot<T>(read: () => T): T {
    this.#begin.run();
    try {
      return read();
    } finally {
      this.#end.run();
    }
  }

  #select(rest: string, { payload, vector }: Want): Database.Statement<unknown[], RawRow> {
    return this.#prepare(
      `SELECT label, hex(id), version,
              ${payload ? 'payload_check, CAST(payload AS TEXT)' : 'NULL, NULL'},
              ${vector ? 'vector_check, vector' : 'NULL, NULL'} FROM points ${rest}`,
    );
  }

  /** Joined this way round, the rows come in the order of the labels. */
  #selectGiven({ payload, vector }: Want): Database.Statement<unknown[], RawRow> {
    const long = `length(payload) > ${SHORT_PAYLOAD_BYTES}`;
    const short = `payload_check, iif(${long}, ${LONG}, CAST(payload AS TEXT))`;
    return this.#prepare(
      `SELECT label, hex(id), version, ${payload ? short : 'NULL, NULL'},
              ${vector ? 'vector_check, vector' : 'NULL, NULL'}
         FROM (VALUES ${GIVEN_LABELS}) AS given CROSS JOIN points ON label = given.column1`,
    );
  }

  #prepare(sql: string): Database.Statement<unknown[], RawRow> {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare<unknown[], RawRow>(sql).raw();
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

function sizeOf(row: PointRow | undefined): number {
  return row === undefined ? 0 : (row.payload?.length ?? 0) + row.vector.byteLength;
}

function checkRow(raw: RawRow, payload: Buffer | null, want: Want): void {
  const [label, idHex, version, payloadSum, , vectorSum, vector] = raw;
  const seed = rowSeedOfHex(idHex, label);
  if (want.payload && payloadCheck(seed, version, payload) !== payloadSum) {
    throw new DamagedData('a payload');
  }
  if (!want.vector) return;
  if (!Buffer.isBuffer(vector) || vectorCheck(seed, vector) !== vectorSum) {
    throw new DamagedData('a vector');
  }
}

function floatsOf(bytes: Buffer): Float32Array {
  const { buffer, byteOffset, length } = bytes;
  const { BYTES_PER_ELEMENT } = Float32Array;
  if (byteOffset % BYTES_PER_ELEMENT === 0) {
    return new Float32Array(buffer, byteOffset, length / BYTES_PER_ELEMENT);
  }
  // Of a row that is not checked, any number of bytes may have come.
  const whole = length - (length % BYTES_PER_ELEMENT);
  return new Float32Array(new Uint8Array(bytes.subarray(0, whole)).buffer);
}

const INTEGER_HEX_LENGTH = 18;
const UUID_HEX_LENGTH = 34;

/** `pointIdFromKey` for the key's bytes as upper-case hex. */
function pointIdFromHex(hex: string): PointId {
  if (hex.length === INTEGER_HEX_LENGTH) {
    const digits = hex.slice(2);
    // 2^53 is 0020000000000000.
    return digits < '0020' ? Number.parseInt(digits, 16) : BigInt(`0x${digits}`);
  }
  const text = hex.toLowerCase();
  const groups = [text.slice(2, 10), text.slice(10, 14), text.slice(14, 18), text.slice(18, 22)];
  return `${groups.join('-')}-${text.slice(22)}` as Uuid;
}
