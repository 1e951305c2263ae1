/**
 * Nearest neighbours of one shard: plan the filter, search the index, read the rows.
 *
 * The planner. With `exact`, an exact scan of whatever is allowed. Otherwise the points that match
 * are counted first (payload indexes make that a popcount) and the index decides: where few match,
 * scanning them is both faster than the graph and never wrong; where many do, the graph search
 * walks all nodes and collects the allowed ones. A scan runs in slices.
 *
 * Index and rows. A row may be ahead of the index (committed and not yet applied) or have changed
 * between two slices. What a search returns is therefore settled on the row itself:
 *
 *   row gone                 -> no hit: its delete is committed
 *   row as old as the search -> the index's score stands
 *   row newer                -> scored again by its own vector, and checked against the filter
 *
 * The answer is the best of the settled hits. Only hits of the second kind are known to be better
 * than what the search did not look at, so when there are fewer of them than wanted, and the index
 * had more to give, the search is run again for more. A client who rewrites or deletes much makes
 * searches of the same shard work harder for a moment, and never makes them wrong or short.
 */
import type { Bitmap } from '../../shared/base/bitmap.ts';
import { HNSW_EF_DEFAULT } from '../../shared/domain/collection.ts';
import { higherIsNearer } from '../../shared/domain/distance.ts';
import type { Filter } from '../../shared/domain/filter.ts';
import type { PointId } from '../../shared/domain/point.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { Search } from '../../shared/protocol/messages/points-query.ts';
import { scoreOf } from '../index/metric.ts';
import type { Hits } from '../index/vector-index.ts';
import type { PointRow } from '../points/points-reader.ts';
import { evaluate, type ReaderOf, rowMatches } from './evaluate.ts';
import { readAll } from './read-rows.ts';
import { RECENT_LABELS_MAX, type RecentRows } from './recent-rows.ts';
import { columnsOf } from './records.ts';
import type { Slices } from './slices.ts';
import type { ShardState } from './state.ts';

const SCAN_ROWS_PER_STEP = 2_048;
/** How much more is asked for when too few hits stood. */
const WIDEN = 4;
const WHOLE_ROW = { payload: true, vector: true };

export interface FoundPoints {
  rows: PointRow[];
  scores: number[];
}

/** What a search needs of its shard. */
export interface SearchContext {
  state: ShardState;
  reader: ReaderOf;
  recent: RecentRows;
  slices: Slices;
}

interface Hit {
  row: PointRow;
  score: number;
}

/** `query` is the prepared vector, or undefined when the target is a point. */
export async function search(
  request: Search,
  query: Float32Array | undefined,
  context: SearchContext,
): Promise<FoundPoints> {
  const target = resolveTarget(request, query, context);
  const wanted = request.limit + request.offset;
  let k = wanted + (target.self === undefined ? 0 : 1);
  for (;;) {
    const startVersion = context.state.trustedVersion;
    const hits = await find(request, target, k, context);
    const settled = await settle(request, hits, target, startVersion, context);
    const exhausted = hits.labels.length + (hits.gone ?? 0) < k;
    if (settled.standing >= wanted || exhausted) return answer(request, settled.hits, context);
    k = Math.max(k + 1, Math.min(k * WIDEN, context.state.index.count));
    await context.slices.rest();
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

function find(
  request: Search,
  { vector }: Target,
  k: number,
  context: SearchContext,
): Hits | Promise<Hits> {
  const { state, slices } = context;
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

/** The hits that are real, and how many of them stand as the index saw them. */
async function settle(
  request: Search,
  { labels, scores }: Hits,
  { vector, self }: Target,
  startVersion: number,
  { state, reader, recent, slices }: SearchContext,
): Promise<{ hits: Hit[]; standing: number }> {
  const columns = columnsOf(request);
  const isWalk = labels.length > RECENT_LABELS_MAX;
  const readRows = (part: readonly number[]) => {
    return (isWalk ? reader() : recent).byLabels(part, columns);
  };
  const rows = await readAll(labels, readRows, slices);
  const hits: Hit[] = [];
  let standing = 0;
  rows.forEach((row, i) => {
    if (row === undefined || row.label === self) return;
    if (row.version <= startVersion) {
      hits.push({ row, score: scores[i] ?? 0 });
      standing += 1;
      return;
    }
    const [now] = reader().byLabels([row.label], WHOLE_ROW);
    if (now === undefined) return;
    if (request.filter !== undefined && !rowMatches(request.filter, now)) return;
    const { distance } = state.descriptor.config.vector;
    hits.push({ row: now, score: scoreOf(distance, now.vector, vector) });
  });
  return { hits, standing };
}

/** In order, within the score threshold, and the page that was asked for. */
function answer(request: Search, hits: Hit[], { state }: SearchContext): FoundPoints {
  const higher = higherIsNearer(state.descriptor.config.vector.distance);
  const threshold = request.scoreThreshold;
  const near = hits.filter(({ score }) => {
    if (threshold === undefined) return true;
    return higher ? score >= threshold : score <= threshold;
  });
  // A stable sort: hits that stand are in order already, and equal scores stay by label.
  near.sort((a, b) => (higher ? b.score - a.score : a.score - b.score));
  const page = near.slice(request.offset, request.offset + request.limit);
  return { rows: page.map(({ row }) => row), scores: page.map(({ score }) => score) };
}
