/**
 * Points in the order of their ids. A filter whose few matches are known beforehand is answered
 * by reading those; otherwise pages of rows are read in order and checked one by one.
 */
import type { Filter } from '../../shared/domain/filter.ts';
import { type PointId, pointIdToKey } from '../../shared/domain/point.ts';
import type { PointRow } from '../points/points-reader.ts';
import { plan, rowMatches } from './evaluate.ts';
import { columnsOf, type View } from './records.ts';
import type { SearchContext } from './search.ts';

/** Matches up to which they are read and sorted instead of walking the whole shard. */
const SORT_MATCHES_MAX = 4_096;
const PAGE_ROWS = 128;

export interface ScrollRequest extends View {
  filter?: Filter;
  offset?: PointId;
  limit: number;
}

/** Up to `limit` rows from `offset` on, and the id that comes after them. */
export async function scroll(
  request: ScrollRequest,
  context: SearchContext,
): Promise<{ rows: PointRow[]; next: PointId | null }> {
  const rows = await collect(request, request.limit + 1, context);
  const next = rows.length > request.limit ? (rows.pop()?.id ?? null) : null;
  return { rows, next };
}

function collect(
  request: ScrollRequest,
  wanted: number,
  context: SearchContext,
): Promise<PointRow[]> | PointRow[] {
  const { filter } = request;
  if (filter === undefined) {
    return context.reader().page(request.offset, wanted, columnsOf(request));
  }
  const { candidates, residual } = plan(filter, context.state, context.reader);
  if (candidates.count() <= SORT_MATCHES_MAX) {
    return sortMatches(request, filter, candidates.toLabels(), wanted, context);
  }
  const plannedAt = context.state.appliedVersion;
  return walk(request, wanted, context, (row) => {
    if (!candidates.has(row.label)) return false;
    return residual || row.version > plannedAt ? rowMatches(filter, row) : true;
  });
}

/** Rows are checked again as they are read, so a change since the plan cannot show. */
function sortMatches(
  request: ScrollRequest,
  filter: Filter,
  labels: Uint32Array,
  wanted: number,
  { reader }: SearchContext,
): PointRow[] {
  const from = request.offset === undefined ? undefined : pointIdToKey(request.offset);
  const keyed = reader()
    .byLabels(labels, { payload: false, vector: false })
    .filter((row) => row !== undefined)
    .map((row) => ({ label: row.label, key: pointIdToKey(row.id) }))
    .filter(({ key }) => from === undefined || Buffer.compare(key, from) >= 0)
    .sort((a, b) => Buffer.compare(a.key, b.key));
  const found: PointRow[] = [];
  for (let at = 0; at < keyed.length && found.length < wanted; at += wanted) {
    const step = keyed.slice(at, at + wanted).map(({ label }) => label);
    for (const row of reader().byLabels(step, { ...columnsOf(request), payload: true })) {
      if (row !== undefined && rowMatches(filter, row)) found.push(row);
    }
  }
  return found.slice(0, wanted);
}

async function walk(
  request: ScrollRequest,
  wanted: number,
  { reader, slices }: SearchContext,
  matching: (row: PointRow) => boolean,
): Promise<PointRow[]> {
  const found: PointRow[] = [];
  let from = request.offset;
  for (;;) {
    const page = reader().page(from, PAGE_ROWS, { ...columnsOf(request), payload: true });
    for (const row of from === request.offset ? page : page.slice(1)) {
      if (matching(row) && found.push(row) === wanted) return found;
    }
    if (page.length < PAGE_ROWS) return found;
    from = page.at(-1)?.id;
    if (slices.due) await slices.rest();
  }
}
