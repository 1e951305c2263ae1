/**
 * Ranges of points in the order of their ids, as replicas compare and level them.
 */
import { createHash } from 'node:crypto';
import { type PayloadBytes, type PointId, pointIdToKey } from '../../shared/domain/point.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Reply, Request } from '../../shared/protocol/messages.ts';
import type { Range } from '../../shared/protocol/schema.ts';
import type { PointRow } from '../points/points-reader.ts';
import type { ReaderOf } from './evaluate.ts';
import type { Slices } from './slices.ts';

const NOTHING = { payload: false, vector: false };
const WHOLE = { payload: true, vector: true };
/** Rows read between two looks at the clock: some 200 us. */
const ROWS_PER_STEP = 128;
/** Ids that one commit deletes. */
const OTHERS_PER_PART = 500;
const VERSION_BYTES = 8;
const LENGTH_BYTES = 4;
const NO_PAYLOAD = 2 ** 32 - 1;

/** Answers `range-digest`. */
export async function digestRange(
  { range, limit, deep, upTo = Number.MAX_SAFE_INTEGER }: Request<'range-digest'>,
  reader: ReaderOf,
  slices: Slices,
): Promise<Reply<'range-digest'>> {
  const hash = createHash('sha256');
  const want = deep ? WHOLE : NOTHING;
  let count = 0;
  let newest = 0;
  let after: PointId | undefined;
  for (;;) {
    // One more than is wanted says where the rest begins.
    const wanted = Math.min(ROWS_PER_STEP, limit + 1 - count);
    const rows = reader().range({ ...range, after }, wanted, want);
    for (const row of rows) {
      if (row.version > upTo) continue;
      if (count === limit) return { count, newest, digest: hash.digest(), next: row.id };
      for (const piece of piecesOf(row, deep)) hash.update(piece);
      count += 1;
      newest = Math.max(newest, row.version);
    }
    after = rows.at(-1)?.id;
    if (after === undefined) return { count, newest, digest: hash.digest(), next: null };
    if (slices.due) await slices.rest();
  }
}

/** What is hashed of a row: key (its first byte says how long it is), version; length and bytes of the
 * payload, vector. */
function* piecesOf({ id, version, payload, vector }: PointRow, deep: boolean) {
  const numbers = Buffer.allocUnsafe(VERSION_BYTES + LENGTH_BYTES);
  numbers.writeBigUInt64LE(BigInt(version));
  yield pointIdToKey(id);
  if (!deep) {
    yield numbers.subarray(0, VERSION_BYTES);
    return;
  }
  numbers.writeUInt32LE(payload?.length ?? NO_PAYLOAD, VERSION_BYTES);
  yield numbers;
  if (payload !== null) yield payload;
  yield new Uint8Array(vector.buffer, vector.byteOffset, vector.byteLength);
}

/** The ids in the range that are not among those given, in parts that are not empty. Those of a part
 * may be deleted before the next one is asked for. */
export async function* othersIn(
  range: Range,
  ids: readonly PointId[],
  reader: ReaderOf,
  slices: Slices,
): AsyncIterable<PointId[]> {
  const given = new Set(ids);
  let others: PointId[] = [];
  let after: PointId | undefined;
  for (;;) {
    const rows = reader().range({ ...range, after }, ROWS_PER_STEP, NOTHING);
    for (const { id } of rows) if (!given.has(id)) others.push(id);
    after = rows.at(-1)?.id;
    if (others.length >= OTHERS_PER_PART || (after === undefined && others.length > 0)) {
      yield others;
      others = [];
    }
    if (after === undefined) return;
    if (slices.due) await slices.rest();
  }
}

/** Throws `invalid_argument` when an id is not in the range. */
export function checkWithin({ from, until }: Range, ids: readonly PointId[]): void {
  const first = from === undefined ? undefined : pointIdToKey(from);
  const end = until === undefined ? undefined : pointIdToKey(until);
  for (const id of ids) {
    const key = pointIdToKey(id);
    const isBefore = first !== undefined && Buffer.compare(key, first) < 0;
    const isBehind = end !== undefined && Buffer.compare(key, end) >= 0;
    if (!isBefore && !isBehind) continue;
    throw new AppError('invalid_argument', 'a point of the page is not in the range');
  }
}

/** Rows as the lists of a page, with their vectors one after the other. */
export function listsOf(rows: readonly PointRow[]): {
  lists: { ids: PointId[]; versions: number[]; payloads: (PayloadBytes | null)[] };
  vectors: Float32Array;
} {
  const dimension = rows[0]?.vector.length ?? 0;
  const vectors = new Float32Array(rows.length * dimension);
  rows.forEach(({ vector }, i) => {
    vectors.set(vector, i * dimension);
  });
  const lists = {
    ids: rows.map(({ id }) => id),
    versions: rows.map(({ version }) => version),
    payloads: rows.map(({ payload }) => payload),
  };
  return { lists, vectors };
}
