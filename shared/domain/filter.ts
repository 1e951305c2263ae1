/**
 * The filter grammar as one closed union. `parse-filter.ts` makes it from JSON; the worker's
 * `filter/` evaluates it. A group holds when all of `must`, none of `mustNot`, at least one of
 * `should` (if any are given) and at least `minShould.minCount` of `minShould.conditions` hold.
 */
import type { PayloadPath } from './payload-path.ts';
import type { PointId } from './point.ts';

export interface Filter {
  must: Condition[];
  should: Condition[];
  mustNot: Condition[];
  minShould?: { conditions: Condition[]; minCount: number };
}

export type MatchScalar = string | number | bigint | boolean;

export type Condition =
  | { kind: 'group'; filter: Filter }
  /** The condition's object under an array of objects: `nested.key` walks to the elements. */
  | { kind: 'nested'; path: PayloadPath; filter: Filter }
  | { kind: 'match-any'; path: PayloadPath; values: MatchScalar[] }
  | { kind: 'match-except'; path: PayloadPath; values: MatchScalar[] }
  /** Every token of `text` occurs in the field. Tokens: lower-case runs of letters and digits. */
  | { kind: 'match-text'; path: PayloadPath; text: string }
  | { kind: 'range'; path: PayloadPath; range: NumberRange }
  /** RFC 3339 dates; bounds in microseconds since 1970. */
  | { kind: 'datetime-range'; path: PayloadPath; range: NumberRange }
  | { kind: 'is-empty'; path: PayloadPath }
  | { kind: 'is-null'; path: PayloadPath }
  | { kind: 'has-id'; ids: PointId[] }
  | { kind: 'has-vector'; name: string }
  | { kind: 'values-count'; path: PayloadPath; range: NumberRange };

export interface NumberRange {
  lt?: number;
  lte?: number;
  gt?: number;
  gte?: number;
}

/** Whether `value` lies within `range`. NaN never does. */
export function inRange(value: number, range: NumberRange): boolean {
  return (
    (range.lt === undefined || value < range.lt) &&
    (range.lte === undefined || value <= range.lte) &&
    (range.gt === undefined || value > range.gt) &&
    (range.gte === undefined || value >= range.gte) &&
    !Number.isNaN(value)
  );
}
