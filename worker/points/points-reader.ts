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
 */
import type Database from 'better-sqlite3';
import { assert, must } from '../../shared/base/assert.ts';
import {
  type PayloadBytes,
  type PointId,
  pointIdToKey,
  type Uuid,
} from '../../shared/domain/point.ts';
import type { OnceMark, OnceRow } from '../../shared/protocol/once.ts';
import type { Range, Written } from '../../shared/protocol/schema.ts';
import { onceRowsAfter } from './once-rows.ts';
import { openForReads } from './schema.ts';
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

type RawRow = [
  label: number,
  idHex: string,
  version: number,
  payload: string | null | typeof LONG,
  vector: Buffer | null,
];

/** Stands for a payload that is left out of a read of several rows. */
const LONG = 1;
const metaValue = (key: string) => `(SELECT value FROM meta WHERE key = '${key}')`;
const COUNT = metaValue('point_count');
const LAST_VERSION = metaValue('last_version');
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
  readonly #changedSortedMax: number;
  readonly #statements = new Map<string, Database.Statement<unknown[], RawRow>>();
  readonly #labelOf: Database.Statement<[Buffer], number>;
  #labels: Database.Statement<[number, number, number], VersionedLabel> | undefined;
  readonly #begin: Database.Statement;
  readonly #end: Database.Statement;

  /** `changedSortedMax`: see `changedSince`; for tests. */
  constructor(folder: string, { changedSortedMax = CHANGED_SORTED_MAX } = {}) {
    this.#changedSortedMax = changedSortedMax;
    this.#db = openForReads(folder);
    try {
      this.#labelOf = this.#db
        .prepare<[Buffer], number>('SELECT label FROM points WHERE id = ?')
        .pluck();
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
    const [label, , , payload] = raw;
    if (payload !== LONG) return decodeRow(raw);
    return toRow(this.#select('WHERE label = ?', want).get(label));
  }

  /** One entry an id, in the order given, for the first of them. */
  byIds(ids: readonly PointId[], want: Want): (PointRow | undefined)[] {
    const statement = this.#select('WHERE id = ?', want);
    return this.#first(ids, (id) => toRow(statement.get(pointIdToKey(id))));
  }

  labelsOf(ids: readonly PointId[]): (number | undefined)[] {
    return this.#snapshot(() => ids.map((id) => this.#labelOf.get(pointIdToKey(id))));
  }

  /** Rows in the order of their ids, from `fromId` on. */
  page(fromId: PointId | undefined, limit: number, want: Want): PointRow[] {
    if (fromId === undefined) return this.#rows(this.#select('ORDER BY id LIMIT ?', want), [limit]);
    const statement = this.#select('WHERE id >= ? ORDER BY id LIMIT ?', want);
    return this.#rows(statement, [pointIdToKey(fromId), limit]);
  }

  /** Rows in the order of their ids, after `afterId`. */
  pageAfter(afterId: PointId, limit: number, want: Want): PointRow[] {
    const statement = this.#select('WHERE id > ? ORDER BY id LIMIT ?', want);
    return this.#rows(statement, [pointIdToKey(afterId), limit]);
  }

  /** Rows from one id on (or after one) and before another, in the order of ids. */
  range(
    { from, after, until }: Range & { after?: PointId | undefined },
    limit: number,
    want: Want,
  ): PointRow[] {
    const first = after ?? from;
    const above = after === undefined ? '>=' : '>';
    const statement = this.#select(`WHERE id ${above} ? AND id < ? ORDER BY id LIMIT ?`, want);
    const start = first === undefined ? KEY_MIN : pointIdToKey(first);
    return this.#rows(statement, [
      start,
      until === undefined ? KEY_MAX : pointIdToKey(until),
      limit,
    ]);
  }

  /** Rows in the order of their labels, after `afterLabel` (-1: from the first). */
  scan(afterLabel: number, limit: number, want: Want): PointRow[] {
    const statement = this.#select('WHERE label > ? ORDER BY label LIMIT ?', want);
    return this.#rows(statement, [afterLabel, limit]);
  }

  /**
   * Whole rows that are newer than `version`, in the order of their labels, after `afterLabel`.
   * Few changes are sorted for each page; where that would cost more, the table is walked.
   */
  changedSince(version: number, afterLabel: number, limit: number): PointRow[] {
    const few = this.#changedUpTo(version, this.#changedSortedMax) < this.#changedSortedMax;
    const where = few
      ? `WHERE label IN (SELECT label FROM points INDEXED BY points_by_version
           WHERE version > ? AND label > ? ORDER BY label LIMIT ?) ORDER BY label`
      : 'NOT INDEXED WHERE +version > ? AND label > ? ORDER BY label LIMIT ?';
    const statement = this.#select(where, { payload: true, vector: true });
    return this.#rows(statement, [version, afterLabel, limit]);
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
    const labelMax = '(SELECT ifnull(max(label), -1) FROM points)';
    const found = this.#numbers(COUNT, LAST_VERSION, labelMax) as [number, number, number];
    return { count: found[0], version: found[1], labelMax: found[2] };
  }

  levelled(): Levelled {
    const found = this.#numbers(metaValue('levellings'), metaValue('replay_floor'));
    const [levellings, replayFloor] = found as [number, number];
    return { levellings, replayFloor };
  }

  /** Tombstones of this version and earlier ones may be missing. */
  tombstoneFloor(): number {
    const [floor] = this.#numbers(metaValue('tombstone_floor')) as [number];
    return floor;
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

  /** What the shard held after its last write. */
  usage(): Written {
    const bytes = `${COUNT} * 4 * ${metaValue('dimension')} + ${metaValue('payload_bytes')}`;
    const found = this.#numbers(LAST_VERSION, COUNT, bytes, metaValue('digest'));
    const [version, points, total, digest] = found as [number, number, number, number];
    return { version, points, bytes: total, digest };
  }

  #numbers(...columns: string[]): number[] {
    const sql = `SELECT ${columns.join(', ')}`;
    return must(this.#db.prepare<[], number[]>(sql).raw().get(), 'a SELECT without FROM has a row');
  }

  #rows(statement: Database.Statement<unknown[], RawRow>, params: unknown[]): PointRow[] {
    const rows: PointRow[] = [];
    let bytes = 0;
    for (const raw of statement.iterate(...params)) {
      const row = decodeRow(raw);
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
      `SELECT label, hex(id), version, ${payload ? 'CAST(payload AS TEXT)' : 'NULL'},
              ${vector ? 'vector' : 'NULL'} FROM points ${rest}`,
    );
  }

  /** Joined this way round, the rows come in the order of the labels. */
  #selectGiven({ payload, vector }: Want): Database.Statement<unknown[], RawRow> {
    const long = `length(payload) > ${SHORT_PAYLOAD_BYTES}`;
    return this.#prepare(
      `SELECT label, hex(id), version,
              ${payload ? `iif(${long}, ${LONG}, CAST(payload AS TEXT))` : 'NULL'},
              ${vector ? 'vector' : 'NULL'}
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

function toRow(raw: RawRow | undefined): PointRow | undefined {
  return raw === undefined ? undefined : decodeRow(raw);
}

function decodeRow([label, idHex, version, payload, vector]: RawRow): PointRow {
  return {
    label,
    id: pointIdFromHex(idHex),
    version,
    payload: typeof payload === 'string' ? Buffer.from(payload, 'utf8') : null,
    vector: vector === null ? NO_VECTOR : floatsOf(vector),
  };
}

function floatsOf(bytes: Buffer): Float32Array {
  const { buffer, byteOffset, length } = bytes;
  const { BYTES_PER_ELEMENT } = Float32Array;
  if (byteOffset % BYTES_PER_ELEMENT === 0) {
    return new Float32Array(buffer, byteOffset, length / BYTES_PER_ELEMENT);
  }
  return new Float32Array(new Uint8Array(bytes).buffer);
}

const INTEGER_HEX_LENGTH = 18;

/** `pointIdFromKey` for the key's bytes as upper-case hex. */
function pointIdFromHex(hex: string): PointId {
  if (hex.length === INTEGER_HEX_LENGTH) {
    const digits = hex.slice(2);
    // 2^53 is 0020000000000000.
    return digits < '0020' ? Number.parseInt(digits, 16) : BigInt(`0x${digits}`);
  }
  assert(hex.length === 34, 'an id is an integer or a UUID');
  const text = hex.toLowerCase();
  const groups = [text.slice(2, 10), text.slice(10, 14), text.slice(14, 18), text.slice(18, 22)];
  return `${groups.join('-')}-${text.slice(22)}` as Uuid;
}
