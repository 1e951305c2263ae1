/**
 * One search, as `points/query` or the older `points/search` say it, as the worker reads it.
 *
 *   query   absent | [0.1, ...] | "base64" | 5 | "uuid" | {"nearest": <one of these>, "mmr": {...}}
 *
 * A text that has the form of a UUID is a point's id, never a vector: a vector of six or more
 * components could be spelt that way, and a client that means one can send the array.
 */
import { InvalidInput } from '../../shared/base/invalid.ts';
import type { VectorConfig } from '../../shared/domain/collection.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { type PointId, parsePointId, UNNAMED_VECTOR } from '../../shared/domain/point.ts';
import type { Search } from '../../shared/protocol/messages/points-query.ts';
import { refuseUnknown, unknownField, within } from './field-path.ts';
import { parseOptionalFilter, parsePayloadSelector, parseWithVector } from './parse-selectors.ts';
import { parseVector, unknownVectorName } from './parse-vector.ts';

/** What the schema of the body has checked; the `unknown` fields are checked here. */
export interface SearchOptionsInput {
  filter?: unknown;
  params?: SearchParamsInput | null;
  score_threshold?: number | null;
  limit?: number | null;
  offset?: number | null;
  with_payload?: unknown;
  with_vector?: unknown;
}

export interface SearchParamsInput {
  hnsw_ef?: number | null;
  exact?: boolean | null;
}

export interface QueryInput extends SearchOptionsInput {
  query?: unknown;
  using?: string | null;
}

export interface OldSearchInput extends SearchOptionsInput {
  vector?: unknown;
}

/** Maximal marginal relevance; see `mmr.ts`. */
export interface Diversity {
  /** 0: only near the query; 1: only far from each other. */
  diversity: number;
  /** The nearest hits that are chosen from; at least as many as are wanted. */
  candidates: number;
}

export interface ParsedSearch {
  search: Search;
  /** Prepared; absent when the target is a point or nothing. */
  vector?: Float32Array;
  mmr?: Diversity;
}

const LIMIT_DEFAULT = 10;

/** Throws `InvalidInput`. `path` is the place of the object, '' at the top of the body. */
export function parseQuery(input: QueryInput, config: VectorConfig, path = ''): ParsedSearch {
  const using = input.using ?? UNNAMED_VECTOR;
  if (using !== UNNAMED_VECTOR) throw unknownVectorName(within(path, 'using'), using);
  const options = parseOptions(input, path, false);
  const target = parseTarget(input.query, config, within(path, 'query'));
  const { search, mmr, ...vector } = target;
  const parsed = { ...vector, search: { ...options, target: search } };
  if (mmr === undefined) return parsed;
  const wanted = options.limit + options.offset;
  if (wanted > LIMITS.mmrCandidatesMax) {
    const problem = `with "mmr", "limit" and "offset" together are at most ${LIMITS.mmrCandidatesMax}`;
    throw new InvalidInput(path, problem);
  }
  return { ...parsed, mmr: { ...mmr, candidates: Math.max(wanted, mmr.candidates) } };
}

/** The older form: `{"vector": [...], ...}`. */
export function parseOldSearch(
  input: OldSearchInput,
  config: VectorConfig,
  path = '',
): ParsedSearch {
  const options = parseOptions(input, path, false);
  const at = within(path, 'vector');
  const vector = parseVector(oldVectorOf(input.vector, at), config, at);
  return { search: { ...options, target: { kind: 'vector' } }, vector };
}

/** `{"name": "", "vector": [...]}` is the older way to name a vector. */
function oldVectorOf(input: unknown, path: string): unknown {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) return input;
  if (input instanceof Float32Array) return input;
  const { name, vector, ...others } = input as Record<string, unknown>;
  if (name === undefined || vector === undefined || Object.keys(others).length > 0) return input;
  if (name !== UNNAMED_VECTOR) throw unknownVectorName(path, String(name));
  return vector;
}

type Options = Omit<Search, 'target'>;

function parseOptions(input: SearchOptionsInput, path: string, whenAbsent: boolean): Options {
  const limit = input.limit ?? LIMIT_DEFAULT;
  const offset = input.offset ?? 0;
  if (limit + offset > LIMITS.searchHitsMax) {
    const problem = `"limit" and "offset" together are at most ${LIMITS.searchHitsMax}`;
    throw new InvalidInput(path, problem);
  }
  const options: Options = {
    limit,
    offset,
    exact: input.params?.exact ?? false,
    payload: parsePayloadSelector(input.with_payload, whenAbsent, within(path, 'with_payload')),
    withVector: parseWithVector(input.with_vector, within(path, 'with_vector')),
  };
  const filter = parseOptionalFilter(input.filter, within(path, 'filter'));
  if (filter !== undefined) options.filter = filter;
  const ef = input.params?.hnsw_ef ?? undefined;
  if (ef !== undefined) options.ef = ef;
  const threshold = input.score_threshold ?? undefined;
  if (threshold !== undefined) options.scoreThreshold = threshold;
  return options;
}

interface Target {
  search: Search['target'];
  vector?: Float32Array;
  mmr?: Diversity;
}

function parseTarget(input: unknown, config: VectorConfig, path: string): Target {
  if (input === undefined || input === null) return { search: { kind: 'none' } };
  const isPlain = typeof input !== 'object' || Array.isArray(input);
  if (isPlain || input instanceof Float32Array) return parseNearest(input, config, path);
  const { nearest, mmr, ...others } = input as Record<string, unknown>;
  const [other] = Object.keys(others);
  if (other !== undefined) throw unknownQuery(other, path);
  if (nearest === undefined) throw new InvalidInput(path, 'the field "nearest" is missing');
  const target = parseNearest(nearest, config, `${path}.nearest`);
  if (mmr === undefined || mmr === null) return target;
  return { ...target, mmr: parseMmr(mmr, `${path}.mmr`) };
}

function parseNearest(input: unknown, config: VectorConfig, path: string): Target {
  const id = idOf(input, path);
  if (id !== undefined) return { search: { kind: 'point', id } };
  return { search: { kind: 'vector' }, vector: parseVector(input, config, path) };
}

const UUID_FORM = /^(?:urn:uuid:)?[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}$/i;

function idOf(input: unknown, path: string): PointId | undefined {
  if (typeof input === 'number' || typeof input === 'bigint') return parsePointId(input, path);
  if (typeof input === 'string' && UUID_FORM.test(input)) return parsePointId(input, path);
  return undefined;
}

const OTHER_QUERIES = [
  'recommend',
  'discover',
  'context',
  'order_by',
  'fusion',
  'rrf',
  'formula',
  'sample',
  'relevance_feedback',
];

function unknownQuery(name: string, path: string): InvalidInput {
  if (OTHER_QUERIES.includes(name)) {
    return new InvalidInput(path, `"${name}" queries are not available; use "nearest"`);
  }
  if (name === 'indices' || name === 'values') {
    return new InvalidInput(path, 'sparse vectors are not available; send an array of numbers');
  }
  if (name === 'model') return new InvalidInput(path, 'inference is not available; send a vector');
  return unknownField(path, name);
}

const DIVERSITY_DEFAULT = 0.5;

function parseMmr(input: unknown, path: string): Diversity {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw new InvalidInput(path, 'must be a JSON object');
  }
  refuseUnknown(input, ['diversity', 'candidates_limit'], path);
  const { diversity, candidates_limit } = input as Record<string, unknown>;
  return {
    diversity: numberOr(DIVERSITY_DEFAULT, diversity, 1, `${path}.diversity`),
    candidates: Math.ceil(
      numberOr(0, candidates_limit, LIMITS.mmrCandidatesMax, `${path}.candidates_limit`),
    ),
  };
}

function numberOr(whenAbsent: number, input: unknown, max: number, path: string): number {
  if (input === undefined || input === null) return whenAbsent;
  if (typeof input === 'number' && input >= 0 && input <= max) return input;
  throw new InvalidInput(path, `must be a number from 0 to ${max}`);
}
