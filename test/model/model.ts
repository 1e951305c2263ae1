/**
 * The reference: a plain Map, an exact scan, and filters evaluated straight from the documented
 * meaning of the dialect. Shares no code with the service beyond the exact-JSON reader.
 */
export type Id = number | bigint | string;
export type Json = null | boolean | number | bigint | string | Json[] | { [key: string]: Json };
export type Payload = { [key: string]: Json };
export interface ModelPoint {
  id: Id;
  vector: number[];
  payload: Payload;
}
export type Distance = 'Cosine' | 'Dot' | 'Euclid' | 'Manhattan';

/** One condition in the dialect's own words. */
export type Clause = { [key: string]: Json };

export class Model {
  readonly points = new Map<Id, ModelPoint>();
  readonly distance: Distance;

  constructor(distance: Distance) {
    this.distance = distance;
  }

  upsert(points: ModelPoint[]): void {
    for (const point of points) this.points.set(point.id, structuredClone(point));
  }

  matching(filter: Clause | undefined): ModelPoint[] {
    const all = [...this.points.values()];
    return filter === undefined ? all : all.filter((point) => holdsFilter(filter, point));
  }

  /** Scores of the `limit` nearest that match, nearest first. */
  nearest(query: number[], limit: number, filter?: Clause): number[] {
    const scores = this.matching(filter).map((point) => this.score(query, point.vector));
    const higher = this.distance === 'Cosine' || this.distance === 'Dot';
    return scores.sort((a, b) => (higher ? b - a : a - b)).slice(0, limit);
  }

  score(a: number[], b: number[]): number {
    const dot = (x: number[], y: number[]) => x.reduce((sum, v, i) => sum + v * (y[i] ?? 0), 0);
    const gaps = a.map((v, i) => v - (b[i] ?? 0));
    switch (this.distance) {
      case 'Dot':
        return dot(a, b);
      case 'Cosine':
        return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
      case 'Euclid':
        return Math.sqrt(dot(gaps, gaps));
      case 'Manhattan':
        return gaps.reduce((sum, gap) => sum + Math.abs(gap), 0);
    }
  }
}

export function holdsFilter(filter: Clause, point: ModelPoint): boolean {
  const list = (name: string) => (filter[name] ?? []) as Clause[];
  const holds = (clause: Clause) => holdsClause(clause, point);
  if (!list('must').every(holds)) return false;
  if (list('must_not').some(holds)) return false;
  const should = list('should');
  if (should.length > 0 && !should.some(holds)) return false;
  const min = filter.min_should as { conditions: Clause[]; min_count: number } | undefined;
  return min === undefined || min.conditions.filter(holds).length >= min.min_count;
}

function holdsClause(clause: Clause, point: ModelPoint): boolean {
  if ('must' in clause || 'should' in clause || 'must_not' in clause || 'min_should' in clause) {
    return holdsFilter(clause, point);
  }
  if ('has_id' in clause) return (clause.has_id as Id[]).includes(point.id);
  if ('is_empty' in clause) {
    return valuesAt(point.payload, keyOf(clause.is_empty)).every((value) => value === null);
  }
  if ('is_null' in clause) {
    return valuesAt(point.payload, keyOf(clause.is_null)).some((value) => value === null);
  }
  const values = valuesAt(point.payload, clause.key as string);
  if ('match' in clause) return values.some((value) => isMatch(clause.match as Clause, value));
  if ('range' in clause) return values.some((value) => isInRange(clause.range as Clause, value));
  if ('values_count' in clause) {
    const stored = clause.key as string;
    return isInRange(clause.values_count as Clause, countAt(point.payload, stored));
  }
  throw new Error(`the model does not know ${JSON.stringify(Object.keys(clause))}`);
}

function keyOf(clause: Json | undefined): string {
  return (clause as { key: string }).key;
}

/** Leaf values under a dotted path; an array stands for its elements. */
function valuesAt(payload: Payload, path: string): Json[] {
  let level: Json[] = [payload];
  for (const key of path.split('.')) {
    level = level.flatMap((value) => {
      if (value === null || typeof value !== 'object' || Array.isArray(value)) return [];
      const next = value[key];
      return next === undefined ? [] : [next];
    });
  }
  return level.flatMap((value) => (Array.isArray(value) ? value : [value]));
}

function countAt(payload: Payload, key: string): number {
  const value = payload[key];
  if (value === undefined || value === null) return 0;
  return Array.isArray(value) ? value.length : 1;
}

function isMatch(match: Clause, value: Json): boolean {
  if ('value' in match) return value === match.value;
  if ('any' in match) return (match.any as Json[]).includes(value);
  if ('except' in match) return !(match.except as Json[]).includes(value);
  throw new Error('the model does not know this match');
}

function isInRange(range: Clause, value: Json): boolean {
  if (typeof value !== 'number') return false;
  const { lt, lte, gt, gte } = range as Record<string, number | undefined>;
  return (
    (lt === undefined || value < lt) &&
    (lte === undefined || value <= lte) &&
    (gt === undefined || value > gt) &&
    (gte === undefined || value >= gte)
  );
}
