/**
 * From a filter to the set of labels worth looking at. Each condition gives a set that contains
 * its matches (`exact`: is them); sets are combined as the groups say:
 *
 *   must        intersection, the smallest estimate first, stopping when nothing is left
 *   should      union; a condition that no index can answer makes the union "all"
 *   must_not    subtracted if exact; taking away more than the matches would lose points
 *   min_should  counted per label; conditions that can not be answered count as holding
 *   nested      the conditions of the inner filter that need one value somewhere in the array,
 *               each on its flat path: more than the matches, since different elements may
 *               satisfy them
 *
 * What comes out is a superset of the matches. `residual` says that it may be a proper one, so
 * that each candidate must still be checked with `matches`.
 */
import { Bitmap } from '../../shared/base/bitmap.ts';
import type { Condition, Filter } from '../../shared/domain/filter.ts';
import type { PayloadPath } from '../../shared/domain/payload-path.ts';
import { type PointId, UNNAMED_VECTOR } from '../../shared/domain/point.ts';
import type { PayloadIndexes } from './payload-indexes.ts';

export interface FilterContext {
  indexes: PayloadIndexes;
  /** The labels in use. */
  live: Bitmap;
  /** The labels of those ids that exist. */
  labelsOf(ids: PointId[]): number[];
}

export interface FilterPlan {
  /** How many points match. */
  estimate: { min: number; expected: number; max: number };
  /** Contains all matches, and live labels only. The receiver owns it. */
  candidates: Bitmap;
  /** Whether candidates must still be checked with `matches`. */
  residual: boolean;
}

/** `labels` undefined: all that are live. */
interface Part {
  labels: Bitmap | undefined;
  exact: boolean;
}

interface Estimated {
  condition: Condition;
  estimate: number;
}

/** Of points that only the payload can decide about, this part is expected to match. */
const UNDECIDED_MATCH_RATIO = 0.5;

export function planFilter(filter: Filter, context: FilterContext): FilterPlan {
  const { labels, exact } = new Planner(context).group(filter);
  const candidates = labels === undefined ? context.live.clone() : labels.and(context.live);
  const count = candidates.count();
  const expected = exact ? count : Math.ceil(count * UNDECIDED_MATCH_RATIO);
  return {
    estimate: { min: exact ? count : 0, expected, max: count },
    candidates,
    residual: !exact && count > 0,
  };
}

class Planner {
  readonly #context: FilterContext;
  readonly #liveCount: number;

  constructor(context: FilterContext) {
    this.#context = context;
    this.#liveCount = context.live.count();
  }

  group(filter: Filter): Part {
    let result: Part = { labels: undefined, exact: true };
    for (const condition of this.#smallestFirst(filter.must)) {
      result = this.#both(result, this.#condition(condition));
      if (isNothing(result)) return nothing();
    }
    if (filter.should.length > 0) result = this.#both(result, this.#either(filter.should));
    if (filter.minShould !== undefined) {
      result = this.#both(result, this.#atLeast(filter.minShould));
    }
    for (const condition of filter.mustNot) {
      if (isNothing(result)) return nothing();
      result = this.#without(result, this.#condition(condition));
    }
    return result;
  }

  #condition(condition: Condition): Part {
    switch (condition.kind) {
      case 'group':
        return this.group(condition.filter);
      case 'nested': {
        const flat = flatten(condition.filter, condition.path);
        const { labels } = flat === undefined ? all() : this.group(flat);
        return { labels, exact: false };
      }
      case 'has-id':
        return { labels: Bitmap.of(this.#context.labelsOf(condition.ids)), exact: true };
      case 'has-vector':
        return condition.name === UNNAMED_VECTOR ? { labels: undefined, exact: true } : nothing();
      default: {
        const index = this.#context.indexes.indexOf(condition.path);
        return index?.candidates(condition, this.#context.live) ?? all();
      }
    }
  }

  #smallestFirst(conditions: Condition[]): Condition[] {
    if (conditions.length < 2) return conditions;
    const estimated = conditions.map((condition): Estimated => {
      return { condition, estimate: this.#estimate(condition) };
    });
    return estimated.sort((a, b) => a.estimate - b.estimate).map(({ condition }) => condition);
  }

  #estimate(condition: Condition): number {
    switch (condition.kind) {
      case 'has-id':
        return Math.min(condition.ids.length, this.#liveCount);
      case 'group': {
        const { must, should } = condition.filter;
        const sum = should.reduce((total, inner) => total + this.#estimate(inner), 0);
        const bounds = must.map((inner) => this.#estimate(inner));
        return Math.min(this.#liveCount, ...bounds, ...(should.length > 0 ? [sum] : []));
      }
      case 'nested':
      case 'has-vector':
        return this.#liveCount;
      default: {
        const index = this.#context.indexes.indexOf(condition.path);
        return index?.estimate(condition, this.#liveCount) ?? this.#liveCount;
      }
    }
  }

  #both(a: Part, b: Part): Part {
    const exact = a.exact && b.exact;
    if (a.labels === undefined) return { labels: b.labels, exact };
    return { labels: b.labels === undefined ? a.labels : a.labels.and(b.labels), exact };
  }

  #without(a: Part, b: Part): Part {
    if (!b.exact) return { labels: a.labels, exact: false };
    if (b.labels === undefined) return nothing();
    return { labels: (a.labels ?? this.#context.live.clone()).andNot(b.labels), exact: a.exact };
  }

  #either(conditions: Condition[]): Part {
    const union = new Bitmap();
    let exact = true;
    for (const condition of conditions) {
      const part = this.#condition(condition);
      // "All" and exact: whatever the others say, everything matches.
      if (part.labels === undefined) return { labels: undefined, exact: part.exact };
      union.or(part.labels);
      exact &&= part.exact;
    }
    return { labels: union, exact };
  }

  #atLeast({ conditions, minCount }: NonNullable<Filter['minShould']>): Part {
    if (minCount > conditions.length) return nothing();
    const parts = conditions.map((condition) => this.#condition(condition));
    const exact = parts.every((part) => part.exact);
    const sets = parts.flatMap(({ labels }) => (labels === undefined ? [] : [labels]));
    const needed = minCount - (parts.length - sets.length);
    if (needed <= 0) return { labels: undefined, exact };
    const words = Math.max(0, ...sets.map((set) => set.words.length));
    const counts = new Uint16Array(words * 32);
    const enough = new Bitmap(counts.length);
    for (const set of sets) {
      set.forEach((label) => {
        const count = (counts[label] as number) + 1;
        counts[label] = count;
        if (count === needed) enough.add(label);
      });
    }
    return { labels: enough, exact };
  }
}

function all(): Part {
  return { labels: undefined, exact: false };
}

function nothing(): Part {
  return { labels: new Bitmap(), exact: true };
}

function isNothing({ labels }: Part): boolean {
  return labels?.words.every((word) => word === 0) ?? false;
}

/**
 * The inner filter of a `nested` condition on flat paths, as far as it then still holds for every
 * match: undefined when nothing of it does. Negations and `is-empty` speak of one element and say
 * nothing of the others, and ids and vectors do not exist inside.
 */
function flatten(filter: Filter, path: PayloadPath): Filter | undefined {
  const must = filter.must.flatMap((condition) => flattenCondition(condition, path) ?? []);
  const should = filter.should.map((condition) => flattenCondition(condition, path));
  const flatShould = should.flatMap((condition) => condition ?? []);
  const useShould = flatShould.length === should.length;
  if (must.length === 0 && (!useShould || should.length === 0)) return undefined;
  return { must, should: useShould ? flatShould : [], mustNot: [] };
}

function flattenCondition(condition: Condition, prefix: PayloadPath): Condition | undefined {
  switch (condition.kind) {
    case 'group': {
      const filter = flatten(condition.filter, prefix);
      return filter === undefined ? undefined : { kind: 'group', filter };
    }
    case 'nested': {
      const filter = flatten(condition.filter, [...prefix, ...condition.path]);
      return filter === undefined ? undefined : { kind: 'group', filter };
    }
    case 'is-empty':
    case 'has-id':
    case 'has-vector':
      return undefined;
    default:
      return { ...condition, path: [...prefix, ...condition.path] };
  }
}
