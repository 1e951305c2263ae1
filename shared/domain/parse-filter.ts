/**
 * The dialect's filter JSON, checked and made into the closed union of `filter.ts`.
 *
 *   filter    = { must?, should?, must_not?: condition | [condition...],
 *                 min_should?: { conditions: [condition...], min_count } }
 *   condition = filter | { key, one check } | { nested: { key, filter } }
 *             | { is_empty: { key } } | { is_null: { key } } | { has_id: [id...] }
 *             | { has_vector: name }
 *   check     = match: { value | any | except | text } | range | values_count
 *             | is_empty: bool | is_null: bool
 *
 * `null` is the same as a field left out. A field with several checks is refused: the dialect
 * leaves open whether all or one of them must hold.
 */
import { InvalidInput } from '../base/invalid.ts';
import { parseDatetime } from './datetime.ts';
import type { Condition, Filter, MatchScalar, NumberRange } from './filter.ts';
import { LIMITS } from './limits.ts';
import { EACH, type PayloadPath, parsePayloadPath } from './payload-path.ts';
import { type PointId, parsePointId } from './point.ts';

type Fields = Record<string, unknown>;

/** What is counted over the whole filter. */
interface Budget {
  conditions: number;
}

const GROUP_FIELDS = ['must', 'should', 'must_not', 'min_should'];
const CHECK_FIELDS = ['match', 'range', 'values_count', 'is_empty', 'is_null'];
const MATCH_FIELDS = ['value', 'any', 'except', 'text'];
const BOUND_FIELDS = ['lt', 'lte', 'gt', 'gte'] as const;
const UNSUPPORTED = new Set([
  'geo_bounding_box',
  'geo_radius',
  'geo_polygon',
  'phrase',
  'text_any',
  'prefix',
  'slice',
]);

/** Throws `InvalidInput`; `path` says where the filter stands in the caller's document. */
export function parseFilter(json: unknown, path: string): Filter {
  return parseGroup(json, path, { conditions: 0 }, 1);
}

function parseGroup(json: unknown, path: string, budget: Budget, depth: number): Filter {
  if (depth > LIMITS.filterDepthMax) {
    throw new InvalidInput(path, `a filter has at most ${LIMITS.filterDepthMax} nested groups`);
  }
  const fields = objectFields(json, path, GROUP_FIELDS, 'a filter');
  const list = (name: string) =>
    parseConditions(fields[name], `${path}.${name}`, budget, depth, true);
  const filter: Filter = {
    must: list('must'),
    should: list('should'),
    mustNot: list('must_not'),
  };
  if (fields.min_should === undefined) return filter;
  const at = `${path}.min_should`;
  const parts = ['conditions', 'min_count'];
  const minShould = objectFields(fields.min_should, at, parts, '"min_should"');
  const { conditions, min_count: minCount } = minShould;
  if (typeof minCount !== 'number' || !Number.isSafeInteger(minCount) || minCount < 1) {
    throw new InvalidInput(`${at}.min_count`, 'an integer of at least 1 is needed');
  }
  filter.minShould = {
    conditions: parseConditions(conditions, `${at}.conditions`, budget, depth, false),
    minCount,
  };
  return filter;
}

function parseConditions(
  json: unknown,
  path: string,
  budget: Budget,
  depth: number,
  single: boolean,
): Condition[] {
  if (json === undefined && single) return [];
  if (Array.isArray(json)) {
    return json.map((item, i) => parseCondition(item, `${path}[${i}]`, budget, depth));
  }
  if (!single) throw new InvalidInput(path, 'a list of conditions is needed');
  return [parseCondition(json, path, budget, depth)];
}

function parseCondition(json: unknown, path: string, budget: Budget, depth: number): Condition {
  budget.conditions += 1;
  if (budget.conditions > LIMITS.filterConditionsMax) {
    throw new InvalidInput(
      path,
      `a filter has at most ${LIMITS.filterConditionsMax} conditions in all`,
    );
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new InvalidInput(path, 'a condition is an object');
  }
  if ('key' in json) return parseFieldCondition(json as Fields, path);
  if ('nested' in json) return parseNested(json as Fields, path, budget, depth);
  if ('is_empty' in json) return { kind: 'is-empty', path: keyOf(json, path, 'is_empty') };
  if ('is_null' in json) return { kind: 'is-null', path: keyOf(json, path, 'is_null') };
  if ('has_id' in json) return { kind: 'has-id', ids: parseIds(json as Fields, path) };
  if ('has_vector' in json) {
    const { has_vector: name } = objectFields(json, path, ['has_vector'], 'this condition');
    if (typeof name !== 'string') {
      throw new InvalidInput(`${path}.has_vector`, 'the name of a vector is needed');
    }
    return { kind: 'has-vector', name };
  }
  checkCondition(json, path);
  return { kind: 'group', filter: parseGroup(json, path, budget, depth + 1) };
}

/** A sentence about conditions, where `parseGroup` would only speak of filters. */
function checkCondition(json: object, path: string): void {
  const name = Object.keys(json).find((field) => !GROUP_FIELDS.includes(field));
  if (name === undefined) return;
  refuseUnsupported(name, path);
  throw new InvalidInput(
    path,
    `unknown condition "${shortName(name)}"; a condition has "key" with ${quoted(CHECK_FIELDS)}, ` +
      'or is one of "nested", "is_empty", "is_null", "has_id", "has_vector", or a filter',
  );
}

function parseNested(json: Fields, path: string, budget: Budget, depth: number): Condition {
  const at = `${path}.nested`;
  const outer = objectFields(json, path, ['nested'], 'this condition');
  const { key, filter } = objectFields(outer.nested, at, ['key', 'filter'], '"nested"');
  const steps = parsePayloadPath(key, `${at}.key`);
  // Nested filters always go through the elements of an array, whether or not the key says so.
  if (steps.at(-1) !== EACH) steps.push(EACH);
  if (filter === undefined) throw new InvalidInput(`${at}.filter`, 'a filter is needed');
  return {
    kind: 'nested',
    path: steps,
    filter: parseGroup(filter, `${at}.filter`, budget, depth + 1),
  };
}

function parseIds(json: Fields, path: string): PointId[] {
  const { has_id: ids } = objectFields(json, path, ['has_id'], 'this condition');
  const at = `${path}.has_id`;
  return [...new Set(boundedList(ids, at).map((id, i) => parsePointId(id, `${at}[${i}]`)))];
}

function keyOf(json: object, path: string, name: string): PayloadPath {
  const outer = objectFields(json, path, [name], 'this condition');
  const { key } = objectFields(outer[name], `${path}.${name}`, ['key'], `"${name}"`);
  return parsePayloadPath(key, `${path}.${name}.key`);
}

function parseFieldCondition(json: Fields, path: string): Condition {
  const fields = objectFields(json, path, ['key', ...CHECK_FIELDS], 'a condition on a key');
  const key = parsePayloadPath(fields.key, `${path}.key`);
  const given = CHECK_FIELDS.filter((name) => fields[name] !== undefined);
  const [check, second] = given;
  if (check === undefined || second !== undefined) {
    throw new InvalidInput(path, `exactly one of ${quoted(CHECK_FIELDS)} is needed beside "key"`);
  }
  const at = `${path}.${check}`;
  const value = fields[check];
  if (check === 'match') return parseMatch(value, at, key);
  if (check === 'range') return parseRange(value, at, key);
  if (check === 'values_count') {
    return { kind: 'values-count', path: key, range: parseCounts(value, at) };
  }
  if (typeof value !== 'boolean') throw new InvalidInput(at, 'true or false is needed');
  const condition: Condition = { kind: check === 'is_empty' ? 'is-empty' : 'is-null', path: key };
  return value ? condition : { kind: 'group', filter: not(condition) };
}

function not(condition: Condition): Filter {
  return { must: [], should: [], mustNot: [condition] };
}

function parseMatch(json: unknown, path: string, key: PayloadPath): Condition {
  const fields = objectFields(json, path, MATCH_FIELDS, '"match"');
  const given = MATCH_FIELDS.filter((name) => fields[name] !== undefined);
  if (given.length !== 1) {
    throw new InvalidInput(path, `exactly one of ${quoted(MATCH_FIELDS)} is needed`);
  }
  const { value, any, except, text } = fields;
  if (value !== undefined) {
    return { kind: 'match-any', path: key, values: [parseScalar(value, `${path}.value`)] };
  }
  if (any !== undefined) {
    return { kind: 'match-any', path: key, values: parseScalars(any, `${path}.any`) };
  }
  if (except !== undefined) {
    return { kind: 'match-except', path: key, values: parseScalars(except, `${path}.except`) };
  }
  if (typeof text !== 'string') throw new InvalidInput(`${path}.text`, 'a text is needed');
  return { kind: 'match-text', path: key, text };
}

function parseScalars(json: unknown, path: string): MatchScalar[] {
  const list = boundedList(json, path);
  return [...new Set(list.map((item, i) => parseScalar(item, `${path}[${i}]`)))];
}

function parseScalar(json: unknown, path: string): MatchScalar {
  if (typeof json === 'string' || typeof json === 'boolean' || typeof json === 'bigint') {
    return json;
  }
  if (Number.isSafeInteger(json)) return json as number;
  throw new InvalidInput(
    path,
    'a value to match is a text, an integer, true or false; use "range" for fractions',
  );
}

function boundedList(json: unknown, path: string): unknown[] {
  if (!Array.isArray(json)) throw new InvalidInput(path, 'a list is needed');
  if (json.length > LIMITS.filterValuesMax) {
    throw new InvalidInput(path, `at most ${LIMITS.filterValuesMax} values are allowed`);
  }
  return json;
}

/** Numbers, or dates: the first bound that is given decides. */
function parseRange(json: unknown, path: string, key: PayloadPath): Condition {
  const fields = objectFields(json, path, BOUND_FIELDS, '"range"');
  const bounds = BOUND_FIELDS.filter((name) => fields[name] !== undefined);
  const dates = bounds.some((name) => typeof fields[name] === 'string');
  const range: NumberRange = {};
  for (const name of bounds) {
    const at = `${path}.${name}`;
    range[name] = dates ? dateBound(fields[name], at) : numberBound(fields[name], at);
  }
  return { kind: dates ? 'datetime-range' : 'range', path: key, range };
}

function numberBound(value: unknown, path: string): number {
  if (typeof value === 'number' || typeof value === 'bigint') return Number(value);
  throw new InvalidInput(path, 'a number or an RFC 3339 date is needed');
}

function dateBound(value: unknown, path: string): number {
  if (typeof value !== 'string') {
    throw new InvalidInput(path, 'the bounds of a range are all numbers or all dates');
  }
  const micros = parseDatetime(value);
  if (micros === undefined) {
    throw new InvalidInput(path, 'an RFC 3339 date is needed, for example 2024-02-29T12:30:00Z');
  }
  return micros;
}

function parseCounts(json: unknown, path: string): NumberRange {
  const fields = objectFields(json, path, BOUND_FIELDS, '"values_count"');
  const range: NumberRange = {};
  for (const name of BOUND_FIELDS) {
    const value = fields[name];
    if (value === undefined) continue;
    if (!Number.isSafeInteger(value) || (value as number) < 0) {
      throw new InvalidInput(`${path}.${name}`, 'an integer of at least 0 is needed');
    }
    range[name] = value as number;
  }
  return range;
}

/** The fields of an object, nulls left out. Refuses fields that are not in `allowed`. */
function objectFields(
  json: unknown,
  path: string,
  allowed: readonly string[],
  what: string,
): Fields {
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw new InvalidInput(path, `${what} is an object with ${quoted(allowed)}`);
  }
  const fields: Fields = {};
  for (const [name, value] of Object.entries(json)) {
    if (!allowed.includes(name)) {
      refuseUnsupported(name, path);
      throw new InvalidInput(
        path,
        `unknown field "${shortName(name)}"; ${what} has ${quoted(allowed)}`,
      );
    }
    if (value !== null) fields[name] = value;
  }
  return fields;
}

function refuseUnsupported(name: string, path: string): void {
  if (UNSUPPORTED.has(name)) throw new InvalidInput(path, `"${name}" is not supported`);
}

function quoted(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ');
}

function shortName(name: string): string {
  return name.length <= 64 ? name : `${name.slice(0, 64)}...`;
}
