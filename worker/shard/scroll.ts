/**
 * Points in the order of their ids. A filter whose few matches are known beforehand is answered
 * by reading those; otherwise pages of rows are read in order and checked one by one.
 */
import { must } from '../../shared/base/assert.ts';
import type { Filter } from '../../shared/domain/filter.ts';
import { type PointId, pointIdToKey } from '../../shared/domain/point.ts';
import type { PointRow } from '../points/points-reader.ts';
import { plan, rowMatches } from './evaluate.ts';
import { ReplyBudget, readAll } from './read-rows.ts';
import { columnsOf, type View } from './records.ts';
import type { SearchContext } from './search.ts';

/** Matches up to which they are read and sorted instead of walking the whole shard. */
const SORT_MATCHES_MAX = 4_096;
const PAGE_ROWS = 128;
const NOTHING = { payload: false, vector: false };

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
): Promise<PointRow[]> {
  const { filter } = request;
  if (filter === undefined) return walk(request, wanted, context, undefined);
  const { candidates, residual } = plan(filter, context.state, context.reader);
  if (candidates.count() <= SORT_MATCHES_MAX) {
    return sortMatches(request, filter, candidates.toLabels(), wanted, context);
  }
  const plannedAt = context.state.mark();
  return walk(request, wanted, context, (row) => {
    if (!candidates.has(row.label)) return false;
    const stands = !residual && context.state.isSettled(row.version, plannedAt);
    return stands || rowMatches(filter, row);
  });
}

/** Rows are checked again as they are read, so a change since the plan cannot show: nor that a label has
 * become another point's, whose place in the order is elsewhere. */
async function sortMatches(
  request: ScrollRequest,
  filter: Filter,
  labels: Uint32Array,
  wanted: number,
  { reader, slices }: SearchContext,
): Promise<PointRow[]> {
  const from = request.offset === undefined ? undefined : pointIdToKey(request.offset);
  const known = await readAll([...labels], (part) => reader().byLabels(part, NOTHING), slices);
  const sorted = known
    .filter((row) => row !== undefined)
    .map((row) => ({ label: row.label, key: pointIdToKey(row.id) }))
    .filter(({ key }) => from === undefined || Buffer.compare(key, from) >= 0)
    .sort((a, b) => Buffer.compare(a.key, b.key));
  const columns = { ...columnsOf(request), payload: true };
  const budget = new ReplyBudget();
  const found: PointRow[] = [];
  let at = 0;
  while (at < sorted.length) {
    const part = sorted.slice(at, at + PAGE_ROWS);
    const labels = part.map(({ label }) => label);
    const rows = reader().byLabels(labels, columns);
    for (const [i, row] of rows.entries()) {
      if (
        row === undefined ||
        !pointIdToKey(row.id).equals(must(part[i], 'it was asked for').key)
      ) {
        continue;
      }
      if (!rowMatches(filter, row)) continue;
      const shown = asSeen(row, request);
      budget.spend([shown]);
      if (found.push(shown) === wanted) return found;
    }
    at += rows.length;
    slices.examined += rows.length;
    if (slices.due) await slices.rest();
  }
  return found;
}

async function walk(
  request: ScrollRequest,
  wanted: number,
  { reader, slices }: SearchContext,
  matching: ((row: PointRow) => boolean) | undefined,
): Promise<PointRow[]> {
  const columns = columnsOf(request);
  if (matching !== undefined) columns.payload = true;
  const budget = new ReplyBudget();
  const found: PointRow[] = [];
  const pageRows = matching === undefined ? Math.min(PAGE_ROWS, wanted) : PAGE_ROWS;
  let page = reader().page(request.offset, pageRows, columns);
  while (page.length > 0) {
    if (matching !== undefined) slices.examined += page.length;
    for (const row of page) {
      if (matching !== undefined && !matching(row)) continue;
      const shown = asSeen(row, request);
      budget.spend([shown]);
      if (found.push(shown) === wanted) return found;
    }
    if (slices.due) await slices.rest();
    page = reader().pageAfter(must(page.at(-1), 'it is not empty').id, pageRows, columns);
  }
  return found;
}

/** A payload that was read for the filter only is let go. */
function asSeen(row: PointRow, view: View): PointRow {
  return view.payload.kind === 'none' ? { ...row, payload: null } : row;
}
