/**
 * Nearest neighbours of one shard: plan the filter, search the index, read the rows.
 *
 * The planner. With `exact`, an exact scan of whatever is allowed. Otherwise the points that match
 * are counted first (payload indexes make that a popcount) and the index decides: where few match,
 * scanning them is both faster than the graph and never wrong; where many do, the graph search
 * walks all nodes and collects the allowed ones. A scan runs in slices.
 *
 * Index and rows agree. A row newer than the start of the search (committed and not yet applied, or
 * applied between two slices) means that a score may belong to an older vector or that the filter
 * no longer holds, so the search waits for the apply, some microseconds away, and runs again. After
 * `ATTEMPTS` runs under a storm of writes the filter is checked on the rows that are returned.
 */
import type { Bitmap } from '../../shared/base/bitmap.ts';
import { HNSW_EF_DEFAULT } from '../../shared/domain/collection.ts';
import { higherIsNearer } from '../../shared/domain/distance.ts';
import type { Filter } from '../../shared/domain/filter.ts';
import type { PointId } from '../../shared/domain/point.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Search } from '../../shared/protocol/messages/points-query.ts';
import type { Hits } from '../index/vector-index.ts';
import type { PointRow } from '../points/points-reader.ts';
import { evaluate, type ReaderOf, rowMatches } from './evaluate.ts';
import { columnsOf } from './records.ts';
import type { Slices } from './slices.ts';
import type { ShardState } from './state.ts';

const SCAN_ROWS_PER_STEP = 2_048;
const ATTEMPTS = 2;

export interface FoundPoints {
  rows: PointRow[];
  scores: number[];
}

/** What a search needs of its shard. */
export interface SearchContext {
  state: ShardState;
  reader: ReaderOf;
  slices: Slices;
}

/** `query` is the prepared vector, or undefined when the target is a point. */
export async function search(
  request: Search,
  query: Float32Array | undefined,
  context: SearchContext,
): Promise<FoundPoints> {
  for (let attempt = 1; ; attempt += 1) {
    const startVersion = context.state.appliedVersion;
    const target = resolveTarget(request, query, context);
    const hits = cut(request, await find(request, target, context), context);
    const found = readHits(request, hits, target.self, context);
    const newest = found.rows.reduce((max, row) => Math.max(max, row.version), 0);
    if (newest <= startVersion) return found;
    if (attempt === ATTEMPTS) return stillMatching(request, found);
    await context.state.applied(newest);
  }
}

interface Target {
  vector: Float32Array;
  /** The point whose vector this is; it is not a hit of its own search. */
  self: number | undefined;
}

function resolveTarget(
  request: Search,
  query: Float32Array | undefined,
  { reader }: SearchContext,
): Target {
  if (query !== undefined) return { vector: query, self: undefined };
  const id = (request.target as { id: PointId }).id;
  const [row] = reader().byIds([id], { payload: false, vector: true });
  if (row === undefined) {
    throw new AppError('point_not_found', `no point with id ${id} in the collection`);
  }
  return { vector: row.vector, self: row.label };
}

function find(request: Search, target: Target, context: SearchContext): Hits | Promise<Hits> {
  const { state, slices } = context;
  const { vector } = target;
  const k = request.limit + request.offset + (target.self === undefined ? 0 : 1);
  const near = { vector, k, ef: Math.max(request.ef ?? HNSW_EF_DEFAULT, k) };
  if (request.filter !== undefined) return findMatching(request, request.filter, near, context);
  const hits = request.exact ? undefined : state.index.search(vector, k, near.ef);
  return hits ?? scan(state, near, undefined, slices);
}

interface Near {
  vector: Float32Array;
  k: number;
  ef: number;
}

async function findMatching(
  request: Search,
  filter: Filter,
  near: Near,
  { state, reader, slices }: SearchContext,
): Promise<Hits> {
  const allowed = await evaluate(filter, state, reader, slices);
  const { vector, k, ef } = near;
  const hits = request.exact ? undefined : state.index.search(vector, k, ef, allowed);
  return hits ?? scan(state, near, allowed, slices);
}

async function scan(
  state: ShardState,
  { vector, k }: Near,
  allowed: Bitmap | undefined,
  slices: Slices,
): Promise<Hits> {
  const scanning = state.index.startScan(vector, k, allowed);
  while (!scanning.step(SCAN_ROWS_PER_STEP)) if (slices.due) await slices.rest();
  return scanning.hits();
}

/** Drops hits beyond the score threshold; hits are in order, so it is a cut. */
function cut(request: Search, hits: Hits, { state }: SearchContext): Hits {
  const threshold = request.scoreThreshold;
  if (threshold === undefined) return hits;
  const higher = higherIsNearer(state.descriptor.config.vector.distance);
  const end = hits.scores.findIndex((score) => (higher ? score < threshold : score > threshold));
  if (end === -1) return hits;
  return { labels: hits.labels.slice(0, end), scores: hits.scores.slice(0, end) };
}

function readHits(
  request: Search,
  hits: Hits,
  self: number | undefined,
  { reader }: SearchContext,
): FoundPoints {
  let { labels, scores } = hits;
  const at = self === undefined ? -1 : labels.indexOf(self);
  if (at !== -1) {
    labels = labels.toSpliced(at, 1);
    scores = scores.toSpliced(at, 1);
  }
  const end = request.offset + request.limit;
  labels = labels.slice(request.offset, end);
  scores = scores.slice(request.offset, end);
  const columns = columnsOf(request);
  const rows = reader().byLabels(labels, columns);
  const found: FoundPoints = { rows: [], scores: [] };
  rows.forEach((row, i) => {
    if (row === undefined) return;
    found.rows.push(row);
    found.scores.push(scores[i] ?? 0);
  });
  return found;
}

function stillMatching(request: Search, found: FoundPoints): FoundPoints {
  const { filter } = request;
  if (filter === undefined) return found;
  const kept = found.rows.map((row) => rowMatches(filter, row));
  return {
    rows: found.rows.filter((_, i) => kept[i]),
    scores: found.scores.filter((_, i) => kept[i]),
  };
}
