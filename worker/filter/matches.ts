/**
 * Whether one point satisfies a filter. This is the reference: what the payload indexes answer is
 * by definition the same, and a property test holds them to it.
 *
 * A condition on a key looks at every value that the path leads to, and at the elements of a
 * value that is an array; it holds when it holds for one of them.
 *
 *   match-any, match-except   strict in type: 1 is not "1" and not true. Integers are the exact
 *                             ones (safe integers and bigints). `except` holds for a value of any
 *                             other type too, but never for null or for a key that is absent
 *   match-text                all tokens occur among the tokens of the key's texts; a text
 *                             without tokens matches nothing
 *   range                     numbers only;  datetime-range: texts that are dates
 *   is-empty                  every value is null or [] (so also a key that is absent)
 *   is-null                   one value is null; elements of arrays are not looked at
 *   values-count              length of an array, 0 for null, 1 for anything else; an absent key
 *                             has no count
 *   nested                    one element of the array, taken as a payload, satisfies the filter;
 *                             it has neither id nor vectors of its own
 */
import { unreachable } from '../../shared/base/assert.ts';
import { parseDatetime } from '../../shared/domain/datetime.ts';
import {
  type Condition,
  type Filter,
  inRange,
  type MatchScalar,
  type NumberRange,
} from '../../shared/domain/filter.ts';
import { isJsonObject } from '../../shared/domain/json.ts';
import { type PayloadPath, somePathValue, visitPath } from '../../shared/domain/payload-path.ts';
import {
  type JsonObject,
  type JsonValue,
  type PointId,
  UNNAMED_VECTOR,
} from '../../shared/domain/point.ts';
import { tokenize } from './tokenize.ts';

export interface FilterablePoint {
  /** Absent for an element of an array under `nested`. */
  id?: PointId;
  payload: JsonObject | null;
}

type Predicate = (point: FilterablePoint) => boolean;

const compiled = new WeakMap<Filter, Predicate>();

/** Filters are compiled once and then cached by identity, so pass the same object for each row. */
export function matches(filter: Filter, point: FilterablePoint): boolean {
  let predicate = compiled.get(filter);
  if (predicate === undefined) {
    predicate = compileFilter(filter);
    compiled.set(filter, predicate);
  }
  return predicate(point);
}

function compileFilter(filter: Filter): Predicate {
  const must = filter.must.map(compileCondition);
  const should = filter.should.map(compileCondition);
  const mustNot = filter.mustNot.map(compileCondition);
  const some = filter.minShould?.conditions.map(compileCondition) ?? [];
  const minCount = filter.minShould?.minCount ?? 0;
  return (point) =>
    must.every((holds) => holds(point)) &&
    !mustNot.some((holds) => holds(point)) &&
    (should.length === 0 || should.some((holds) => holds(point))) &&
    countUpTo(some, point, minCount) >= minCount;
}

function countUpTo(predicates: Predicate[], point: FilterablePoint, enough: number): number {
  let count = 0;
  for (const holds of predicates) {
    if (count >= enough) break;
    if (holds(point)) count += 1;
  }
  return count;
}

function compileCondition(condition: Condition): Predicate {
  switch (condition.kind) {
    case 'group':
      return compileFilter(condition.filter);
    case 'nested':
      return compileNested(condition.path, compileFilter(condition.filter));
    case 'match-any': {
      const values = new Set<unknown>(condition.values);
      return someElement(condition.path, (value) => isScalar(value) && values.has(value));
    }
    case 'match-except': {
      const values = new Set<unknown>(condition.values);
      return someElement(condition.path, (value) => value !== null && !values.has(value));
    }
    case 'match-text':
      return compileText(condition.path, tokenize(condition.text));
    case 'range':
      return compileRange(condition.path, condition.range);
    case 'datetime-range':
      return compileDatetimeRange(condition.path, condition.range);
    case 'is-empty':
      return ({ payload }) => !somePathValue(payload ?? undefined, condition.path, isFilled);
    case 'is-null':
      return someValue(condition.path, (value) => value === null);
    case 'values-count':
      return someValue(condition.path, (value) => inRange(countOf(value), condition.range));
    case 'has-id': {
      const ids = new Set(condition.ids);
      return ({ id }) => id !== undefined && ids.has(id);
    }
    case 'has-vector':
      return ({ id }) => id !== undefined && condition.name === UNNAMED_VECTOR;
    default:
      return unreachable(condition);
  }
}

/** Whether a value is one that `match` compares: text, exact integer, bool. */
export function isScalar(value: JsonValue): value is MatchScalar {
  if (typeof value === 'number') return Number.isSafeInteger(value);
  return typeof value === 'string' || typeof value === 'boolean' || typeof value === 'bigint';
}

/** Whether a value makes its key not empty. */
export function isFilled(value: JsonValue): boolean {
  return value !== null && !(Array.isArray(value) && value.length === 0);
}

function countOf(value: JsonValue): number {
  if (value === null) return 0;
  return Array.isArray(value) ? value.length : 1;
}

function someValue(path: PayloadPath, test: (value: JsonValue) => boolean): Predicate {
  return ({ payload }) => somePathValue(payload ?? undefined, path, test);
}

function someElement(path: PayloadPath, test: (value: JsonValue) => boolean): Predicate {
  return someValue(path, (value) => (Array.isArray(value) ? value.some(test) : test(value)));
}

function compileRange(path: PayloadPath, range: NumberRange): Predicate {
  return someElement(path, (value) => {
    if (typeof value === 'number') return inRange(value, range);
    return typeof value === 'bigint' && inRange(Number(value), range);
  });
}

function compileDatetimeRange(path: PayloadPath, range: NumberRange): Predicate {
  return someElement(path, (value) => {
    const micros = typeof value === 'string' ? parseDatetime(value) : undefined;
    return micros !== undefined && inRange(micros, range);
  });
}

function compileText(path: PayloadPath, tokens: string[]): Predicate {
  if (tokens.length === 0) return () => false;
  return ({ payload }) => {
    const missing = new Set(tokens);
    visitElements(payload, path, (value) => {
      if (typeof value !== 'string') return;
      for (const token of tokenize(value)) missing.delete(token);
    });
    return missing.size === 0;
  };
}

/** Calls `visit` with each value of a key, and with the elements of one that is an array. */
export function visitElements(
  payload: JsonObject | null,
  path: PayloadPath,
  visit: (value: JsonValue) => void,
): void {
  visitPath(payload ?? undefined, path, (value) => {
    if (Array.isArray(value)) for (const element of value) visit(element);
    else visit(value);
  });
}

function compileNested(path: PayloadPath, holds: Predicate): Predicate {
  return someValue(path, (value) => isJsonObject(value) && holds({ payload: value }));
}
