/**
 * Which points of a shard match a filter. Payload indexes give candidates at once; what they
 * cannot decide is checked against the payloads in `points.db`, a slice at a time.
 */
import { Bitmap } from '../../shared/base/bitmap.ts';
import type { Filter } from '../../shared/domain/filter.ts';
import type { PointId } from '../../shared/domain/point.ts';
import { matches } from '../filter/matches.ts';
import { type FilterPlan, planFilter } from '../filter/plan-filter.ts';
import type { PointRow, PointsReader } from '../points/points-reader.ts';
import type { Slices } from './slices.ts';
import { parsePayload, type ShardState } from './state.ts';

/** Rows read between two looks at the clock: about 200 us. */
const ROWS_PER_STEP = 64;
const PAYLOAD_ONLY = { payload: true, vector: false };

export type ReaderOf = () => PointsReader;

export function plan(filter: Filter, state: ShardState, reader: ReaderOf): FilterPlan {
  return planFilter(filter, {
    indexes: state.payloads,
    live: state.index.live,
    labelsOf: (ids: PointId[]) =>
      reader()
        .labelsOf(ids)
        .filter((label) => label !== undefined),
  });
}

/** The labels that match, exactly. */
export async function evaluate(
  filter: Filter,
  state: ShardState,
  reader: ReaderOf,
  slices: Slices,
): Promise<Bitmap> {
  const { candidates, residual } = plan(filter, state, reader);
  return residual ? check(filter, candidates, reader, slices) : candidates;
}

/** The candidates whose stored payloads match. */
export async function check(
  filter: Filter,
  candidates: Bitmap,
  reader: ReaderOf,
  slices: Slices,
): Promise<Bitmap> {
  const labels = candidates.toLabels();
  const matching = new Bitmap(labels.length === 0 ? 0 : (labels.at(-1) ?? 0) + 1);
  let at = 0;
  while (at < labels.length) {
    const rows = reader().byLabels(labels.subarray(at, at + ROWS_PER_STEP), PAYLOAD_ONLY);
    for (const row of rows) {
      if (row !== undefined && rowMatches(filter, row)) matching.add(row.label);
    }
    at += rows.length;
    slices.examined += rows.length;
    if (slices.due) await slices.rest();
  }
  return matching;
}

export function rowMatches(filter: Filter, row: PointRow): boolean {
  return matches(filter, { id: row.id, payload: parsePayload(row.payload) });
}
