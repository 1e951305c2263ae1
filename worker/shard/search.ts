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
 *
 * Equal scores are in the order of ids, so that the shards of a collection answer together as one
 * would, and one page goes on where the one before ended. The index knows labels and no ids: it is
 * asked for one hit more than is wanted, and if that has the score of the last that is wanted, for
 * as many as it takes to see all with that score. Of more than `TIES_MAX` the labels choose.
 */
import type { Bitmap } from '../../shared/base/bitmap.ts';
import { HNSW_EF_DEFAULT } from '../../shared/domain/collection.ts';
import { higherIsNearer } from '../../shared/domain/distance.ts';
import { comparePointIds, type PointId } from '../../shared/domain/point.ts';
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
import type { Mark, ShardState } from './state.ts';

const SCAN_ROWS_PER_STEP = 2_048;
/** How much more is asked for when too few hits stood. */
const WIDEN = 4;
/** Hits beyond those wanted that are looked at for their scores' sake: a few milliseconds of reading. */
const TIES_MAX = 1_024;
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
  let k = wanted + (target.self === undefined ? 1 : 2);
  const mostForTies = k + TIES_MAX;
  let matching = await matchingNow(request, context);
  for (;;) {
    const hits = await find(request, target, k, matching.labels, context);
    const exhausted = hits.labels.length + (hits.gone ?? 0) < k;
    const sure = exhausted || k >= mostForTies ? hits : withoutLastScore(hits);
    if (exhausted || sure.labels.length >= wanted) {
      const settled = await settle(request, sure, target, matching.mark, context);
      if (exhausted || settled.standing >= wanted) return answer(request, settled.hits, context);
      matching = await matchingNow(request, context);
    }
    k = Math.max(k + 1, Math.min(k * WIDEN, context.state.index.count));
    await context.slices.rest();
  }
}

/** What may be found, as memory knew it at a moment. */
interface Matching {
  mark: Mark;
  /** Absent when there is no filter. */
  labels: Bitmap | undefined;
}

function matchingNow(
  { filter }: Search,
  { state, reader, slices }: SearchContext,
): Matching | Promise<Matching> {
  const mark = state.mark();
  if (filter === undefined) return { mark, labels: undefined };
  return evaluate(filter, state, reader, slices).then((labels) => ({ mark, labels }));
}

/** There may be others with the last score, and they may come before those that are here. */
function withoutLastScore({ labels, scores }: Hits): Hits {
  const last = scores.at(-1);
  let end = scores.length;
  while (end > 0 && scores[end - 1] === last) end -= 1;
  return { labels: labels.slice(0, end), scores: scores.slice(0, end) };
}

interface Target {
  vector: Float32Array;
  /** The label of the point whose vector this is; it is not a hit of its own search. */
  self: number | undefined;
}

function resolveTarget(
  request: Search,
  query: Float32Array | undefined,
  { reader }: SearchContext,
): Target {
  const { target } = request;
  if (query !== undefined) {
    const exclude = target.kind === 'vector' ? target.exclude : undefined;
    const self = exclude === undefined ? undefined : reader().labelsOf([exclude])[0];
    return { vector: query, self };
  }
  const id = (target as { id: PointId }).id;
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
  allowed: Bitmap | undefined,
  { state, slices }: SearchContext,
): Hits | Promise<Hits> {
  const ef = Math.max(request.ef ?? HNSW_EF_DEFAULT, k);
  const hits = request.exact ? undefined : state.index.search(vector, k, ef, allowed);
  return hits ?? scan(state, { vector, k }, allowed, slices);
}

interface Near {
  vector: Float32Array;
  k: number;
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
  start: Mark,
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
    if (state.isSettled(row.version, start)) {
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
  near.sort((a, b) => {
    if (a.score === b.score) return comparePointIds(a.row.id, b.row.id);
    return higher ? b.score - a.score : a.score - b.score;
  });
  const page = near.slice(request.offset, request.offset + request.limit);
  return { rows: page.map(({ row }) => row), scores: page.map(({ score }) => score) };
}
