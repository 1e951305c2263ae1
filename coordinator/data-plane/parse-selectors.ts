/**
 * What of a point is wanted, and which points are meant.
 *
 *   with_payload   true | false | ["path", ...] | {"include": [...]} | {"exclude": [...]}
 *   with_vector    true | false | [""]
 *   points         [id, ...]
 */
import { InvalidInput } from '../../shared/base/invalid.ts';
import type { Filter } from '../../shared/domain/filter.ts';
import { LIMITS } from '../../shared/domain/limits.ts';
import { parseFilter } from '../../shared/domain/parse-filter.ts';
import { type PayloadPath, parsePayloadPath } from '../../shared/domain/payload-path.ts';
import { type PointId, parsePointId, UNNAMED_VECTOR } from '../../shared/domain/point.ts';
import type { PayloadSelector, PointsSelector } from '../../shared/protocol/schema.ts';
import { within } from './field-path.ts';
import { unknownVectorName } from './parse-vector.ts';

const ALL: PayloadSelector = { kind: 'all' };
const NONE: PayloadSelector = { kind: 'none' };

/** `whenAbsent`: whether a request that does not say gets the payload. */
export function parsePayloadSelector(
  input: unknown,
  whenAbsent: boolean,
  path = 'with_payload',
): PayloadSelector {
  if (input === undefined || input === null) return whenAbsent ? ALL : NONE;
  if (input === true) return ALL;
  if (input === false) return NONE;
  if (Array.isArray(input)) return { kind: 'include', paths: parsePaths(input, path) };
  if (typeof input === 'object') {
    const [kind, ...others] = Object.keys(input);
    if ((kind === 'include' || kind === 'exclude') && others.length === 0) {
      const keys = (input as Record<string, unknown>)[kind];
      return { kind, paths: parsePaths(keys, `${path}.${kind}`) };
    }
  }
  throw new InvalidInput(
    path,
    'must be true, false, a list of payload keys, or {"include": [...]} or {"exclude": [...]}',
  );
}

export function parseWithVector(input: unknown, path = 'with_vector'): boolean {
  if (input === undefined || input === null || input === false) return false;
  if (input === true) return true;
  if (!Array.isArray(input)) throw new InvalidInput(path, 'must be true, false or [""]');
  for (const name of input) {
    if (name !== UNNAMED_VECTOR) throw unknownVectorName(path, String(name));
  }
  return input.length > 0;
}

/** Payload key paths, at most as many as a filter may have conditions. */
export function parsePaths(input: unknown, path: string): PayloadPath[] {
  if (!Array.isArray(input)) throw new InvalidInput(path, 'must be a list of payload keys');
  if (input.length > LIMITS.filterConditionsMax) {
    throw new InvalidInput(path, `at most ${LIMITS.filterConditionsMax} keys are allowed`);
  }
  return input.map((key, index) => parsePayloadPath(key, `${path}[${index}]`));
}

/** Distinct ids, in the order of their first occurrence. */
export function parseIds(input: unknown, path: string): PointId[] {
  if (!Array.isArray(input)) throw new InvalidInput(path, 'must be a list of point ids');
  checkBatchSize(input.length, path);
  const ids = new Set<PointId>();
  for (let i = 0; i < input.length; i += 1) ids.add(parsePointId(input[i], `${path}[${i}]`));
  return [...ids];
}

export function checkBatchSize(count: number, path: string): void {
  if (count <= LIMITS.batchPointsMax) return;
  throw new InvalidInput(
    path,
    `at most ${LIMITS.batchPointsMax} points are allowed at once, there are ${count}`,
  );
}

export function parseOptionalFilter(input: unknown, path = 'filter'): Filter | undefined {
  return input === undefined || input === null ? undefined : parseFilter(input, path);
}

/** Exactly one of `points` and `filter`. `path` is the place of the object that holds them. */
export function parsePointsSelector(
  input: { points?: unknown; filter?: unknown },
  path = '',
): PointsSelector {
  const filter = parseOptionalFilter(input.filter, within(path, 'filter'));
  const named = input.points !== undefined && input.points !== null;
  if (named === (filter !== undefined)) {
    throw new InvalidInput(path, 'give either "points" (a list of ids) or "filter"');
  }
  return filter === undefined
    ? { kind: 'ids', ids: parseIds(input.points, within(path, 'points')) }
    : { kind: 'filter', filter };
}
