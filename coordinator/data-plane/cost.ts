/**
 * What a legal request costs, so that few requests that ask for much are bounded as many are that
 * ask for little. The unit is a plain search: ten hits of a graph of vectors with 256 components,
 * about 200 us of processor time, coordinator and worker together. The figures below are what takes
 * about as long, rounded; they need to be right to a factor, not to a percent.
 */
import type { ClientId } from '../../shared/base/ids.ts';
import type { Condition, Filter } from '../../shared/domain/filter.ts';
import type { ParsedSearch } from './parse-query.ts';
import type { Write } from './write.ts';

/** Takes units from what a client may spend. Throws `rate_limited`. */
export type SpendWork = (clientId: ClientId, units: number) => void;

const PLAIN = 1;
const PLAIN_DIMENSION = 256;
/** Points that are collected, read and written into the answer. */
const HITS_PER_UNIT = 100;
/** Candidates that a search of the graph keeps, beyond those of a plain one. */
const EF_PLAIN = 64;
const EF_PER_UNIT = 128;
/** A search that looks at every point, a write that finds its points itself. */
const WHOLE_SHARD = 16;
const CONDITIONS_PER_UNIT = 16;
/** Values of `match any` and `match except`, ids of `has_id`. */
const VALUES_PER_UNIT = 256;
/** Comparisons of candidates with each other. */
const DIVERSE_PAIRS_PER_UNIT = 1_024;
/** Points that are deleted, or whose payload is changed. */
const CHANGES_PER_UNIT = 16;
/** A collection that is made, changed or deleted: several writes to disk. */
export const COLLECTION_COST = 16;

/** Sums of fractions are not exact. */
const ROUNDING = 1e-6;

/** The cost of a whole request, at least that of a plain one. */
export function unitsOf(costs: readonly number[]): number {
  const sum = costs.reduce((total, cost) => total + cost, 0);
  return Math.max(PLAIN, Math.floor(sum + ROUNDING));
}

export function searchCost({ search, mmr }: ParsedSearch): number {
  const { limit, offset, ef = EF_PLAIN, exact, filter } = search;
  let cost = PLAIN + readCost(limit + offset, filter);
  cost += Math.max(0, ef - EF_PLAIN) / EF_PER_UNIT;
  if (exact) cost += WHOLE_SHARD;
  if (mmr !== undefined) cost += mmr.candidates ** 2 / DIVERSE_PAIRS_PER_UNIT;
  return cost;
}

/** Of points that are read out, by id or page by page, or counted (none is read). */
export function readCost(points: number, filter: Filter | undefined): number {
  return points / HITS_PER_UNIT + (filter === undefined ? 0 : filterCost(filter));
}

/** A new vector is linked into the graph, which takes as long as a search or two. */
export function writeCost(write: Write, dimension: number): number {
  const { name, body } = write;
  if (name === 'points-upsert' || name === 'vectors-update') {
    return (body.ids.length * dimension) / PLAIN_DIMENSION;
  }
  const { points } = body;
  if (points.kind === 'ids') return points.ids.length / CHANGES_PER_UNIT;
  return WHOLE_SHARD + filterCost(points.filter);
}

function filterCost(filter: Filter): number {
  const { must, should, mustNot, minShould } = filter;
  const groups = [must, should, mustNot, minShould?.conditions ?? []];
  let cost = 0;
  for (const group of groups) for (const condition of group) cost += conditionCost(condition);
  return cost;
}

function conditionCost(condition: Condition): number {
  const own = 1 / CONDITIONS_PER_UNIT;
  if ('filter' in condition) return own + filterCost(condition.filter);
  if ('values' in condition) return own + condition.values.length / VALUES_PER_UNIT;
  return 'ids' in condition ? own + condition.ids.length / VALUES_PER_UNIT : own;
}
