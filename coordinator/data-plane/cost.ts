/**
 * What a legal request costs, so that few requests that ask for much are bounded as many are that
 * ask for little. The unit is a plain search: ten hits of a graph of vectors with 256 components,
 * about 200 us of processor time, coordinator and worker together. The figures below are what takes
 * about as long, rounded; they need to be right to a factor, not to a percent.
 *
 * What a request asks for is known before it is sent. How many rows a filter has to look at that no
 * index answers for is not, so a guess is taken (`filter-costs.ts`), and settled when the answer tells.
 */
import { type CollectionConfig, HNSW_DEFAULTS } from '../../shared/domain/collection.ts';
import type { Condition, Filter } from '../../shared/domain/filter.ts';
import type { Work as FilterWork } from '../../shared/protocol/schema.ts';
import type { Payer } from '../limits/tally.ts';
import type { CollectionRecord } from '../store/collections.ts';
import type { ParsedSearch } from './parse-query.ts';
import type { Write } from './write.ts';

type Configured = Pick<CollectionRecord, 'config' | 'payloadIndexes'>;

/**
 * What a client may spend: `spend` before the work, throws `rate_limited`; `charge` after it, also
 * less than nothing when less was needed.
 */
export interface Work {
  spend(payer: Payer, units: number): void;
  charge(payer: Payer, units: number): void;
}

const PLAIN = 1;
/** Points that are collected, read and written into the answer. */
const HITS_PER_UNIT = 100;
/** Candidates that a search of the graph keeps, beyond those of a plain one. */
const EF_PLAIN = 64;
const EF_PER_UNIT = 128;
/** Components that an exact search looks at. */
const SCANNED_PER_UNIT = 200_000;
/** What looks at every point of a shard of which nobody knows how many there are. */
const WHOLE_SHARD = 16;
/** So that what has a filter is never free, and waits for what earlier ones turned out to cost. */
const FILTERED = 1;
const CONDITIONS_PER_UNIT = 16;
/** Values of `match any` and `match except`, ids of `has_id`. */
const VALUES_PER_UNIT = 256;
/** Rows that are read to hold a filter against their payloads. */
const EXAMINED_PER_UNIT = 80;
/** Comparisons of candidates with each other. */
const DIVERSE_PAIRS_PER_UNIT = 1_024;
/** Points that are deleted, or whose payload is changed. */
const CHANGES_PER_UNIT = 16;
/** A new vector: its row and its way into the graph, without and with what its length adds. */
const STORE_COST = 0.1;
const LINK_COST = 0.4;
const LINKED_COMPONENTS_PER_UNIT = 512;
/** Rows that a payload index is made of. */
const INDEXED_PER_UNIT = 32;
/** A collection that is made or changed: several writes to disk. */
export const COLLECTION_COST = 16;
/** Bytes of a body, to be received and parsed. */
export const BODY_BYTES_PER_UNIT = 32 * 1024;
/** Of a request with a filter that did not come to its end in time. */
const LATE_MS_PER_UNIT = 1;

/** Sums of fractions are not exact. */
const ROUNDING = 1e-6;

/** The cost of a whole request, at least that of a plain one. */
export function unitsOf(costs: readonly number[]): number {
  return Math.max(PLAIN, Math.floor(sumOf(costs) + ROUNDING));
}

export function sumOf(costs: readonly number[]): number {
  return costs.reduce((total, cost) => total + cost, 0);
}

/** `components`: of all vectors of the shard, undefined when it is not known. */
export function searchCost({ search, mmr }: ParsedSearch, components?: number): number {
  const { limit, offset, ef = EF_PLAIN, exact, filter } = search;
  let cost = readCost(limit + offset, filter);
  cost += Math.max(0, ef - EF_PLAIN) / EF_PER_UNIT;
  if (exact) cost += components === undefined ? WHOLE_SHARD : components / SCANNED_PER_UNIT;
  if (mmr !== undefined) cost += mmr.candidates ** 2 / DIVERSE_PAIRS_PER_UNIT;
  return cost;
}

/** Of points that are read out, by id or page by page, or counted (none is read). */
export function readCost(points: number, filter: Filter | undefined): number {
  return (
    PLAIN + points / HITS_PER_UNIT + (filter === undefined ? 0 : FILTERED + filterCost(filter))
  );
}

/** Of one change; what a filter has to look at comes on top. */
export function writeCost(write: Write, config: CollectionConfig): number {
  const { name, body } = write;
  if (name === 'points-upsert' || name === 'vectors-update') {
    return body.ids.length * linkCost(config);
  }
  const { points } = body;
  if (points.kind === 'ids') return points.ids.length / CHANGES_PER_UNIT;
  return WHOLE_SHARD + filterCost(points.filter);
}

/** Of one vector. */
function linkCost({ vector, hnsw }: CollectionConfig): number {
  if (hnsw.m === 0) return STORE_COST;
  const effort = Math.max(hnsw.efConstruct / HNSW_DEFAULTS.efConstruct, 1 / 4);
  const links = Math.max(hnsw.m / HNSW_DEFAULTS.m, 1);
  return STORE_COST + (LINK_COST + vector.dimension / LINKED_COMPONENTS_PER_UNIT) * effort * links;
}

/** Of one more copy of so many points at another worker. */
export function copyCost(config: CollectionConfig, points: number): number {
  return points * linkCost(config);
}

/** Of another configuration or another set of payload indexes, for so many points. */
export function changeCost(before: Configured, after: Configured, points: number): number {
  const fields = Object.keys(after.payloadIndexes);
  const added = fields.filter((field) => {
    return before.payloadIndexes[field] !== after.payloadIndexes[field];
  });
  const { m, efConstruct } = before.config.hnsw;
  const { hnsw } = after.config;
  const isLinkedAnew = m !== hnsw.m || efConstruct !== hnsw.efConstruct;
  const linking = isLinkedAnew ? points * linkCost(after.config) : 0;
  return COLLECTION_COST + linking + (added.length * points) / INDEXED_PER_UNIT;
}

/** Of so many new shards that all points are copied to. */
export function reshardCost(config: CollectionConfig, points: number, shards: number): number {
  return shards * COLLECTION_COST + points * linkCost(config);
}

/** What filters had to look at, and changed. */
export function workCost({ examined, changed }: FilterWork): number {
  return examined / EXAMINED_PER_UNIT + changed / CHANGES_PER_UNIT;
}

/** Of a request with a filter that did not come to its end in so long. */
export function lateCost(ms: number): number {
  return ms / LATE_MS_PER_UNIT;
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
