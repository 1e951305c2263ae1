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
export type PayloadChange = 'set' | 'overwrite' | 'delete' | 'clear';

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
    const scores = this.matching(filter).map((point) => {
      return scoreOf(this.distance, query, point.vector);
    });
    const [nearer, farther] = isHigherNearer(this.distance) ? [-1, 1] : [1, -1];
    return scores.sort((a, b) => a * nearer + b * farther).slice(0, limit);
  }
}

export function isHigherNearer(distance: Distance): boolean {
  return distance === 'Cosine' || distance === 'Dot';
}

export function scoreOf(distance: Distance, a: number[], b: number[]): number {
  switch (distance) {
    case 'Dot':
      return dot(a, b);
    case 'Cosine':
      return dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
    case 'Euclid':
      return Math.sqrt(sumOfGaps(a, b, (gap) => gap * gap));
    case 'Manhattan':
      return sumOfGaps(a, b, Math.abs);
  }
}

function dot(a: number[], b: number[]): number {
  let sum = 0;
  for (let i = 0; i < a.length; i += 1) sum += (a[i] ?? 0) * (b[i] ?? 0);
  return sum;
}

function sumOfGaps(a: number[], b: number[], measure: (gap: number) => number): number {
  let sum = 0;
  for (let i = 0; i < a.length; i += 1) sum += measure((a[i] ?? 0) - (b[i] ?? 0));
  return sum;
}

/** Integers in their order, then UUIDs in theirs. */
export function compareIds(a: Id, b: Id): number {
  const [aIsText, bIsText] = [typeof a === 'string', typeof b === 'string'];
  if (aIsText !== bIsText) return aIsText ? 1 : -1;
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Keys that a payload change of the kind `delete` takes away. */
export const DELETED_KEYS = ['kind', 'deep.kind', 'tags'];

/** The payload after a change; the one before stays as it is. */
export function changedPayload(before: Payload, change: PayloadChange, payload: Payload): Payload {
  switch (change) {
    case 'clear':
      return {};
    case 'overwrite':
      return structuredClone(payload);
    case 'set':
      return mergedPayload(before, payload);
    case 'delete': {
      const { kind: _kind, tags: _tags, ...rest } = structuredClone(before);
      if (rest.deep !== undefined) delete (rest.deep as Payload).kind;
      return rest;
    }
  }
}

/** Setting a key to null removes it. */
function mergedPayload(before: Payload, payload: Payload): Payload {
  const after = structuredClone(before);
  for (const [key, value] of Object.entries(structuredClone(payload))) {
    if (value === null) delete after[key];
    else after[key] = value;
  }
  return after;
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
  if ('nested' in clause) return holdsNested(clause.nested as Clause, point);
  if ('is_empty' in clause) {
    return wholeValuesAt(point.payload, keyOf(clause.is_empty)).every((value) => {
      return value === null || (Array.isArray(value) && value.length === 0);
    });
  }
  if ('is_null' in clause) {
    return wholeValuesAt(point.payload, keyOf(clause.is_null)).some((value) => value === null);
  }
  const values = valuesAt(point.payload, clause.key as string);
  if ('match' in clause) return isMatch(clause.match as Clause, values);
  if ('range' in clause) return values.some((value) => isInRange(clause.range as Clause, value));
  if ('values_count' in clause) {
    const stored = clause.key as string;
    return isInRange(clause.values_count as Clause, countAt(point.payload, stored));
  }
  throw new Error(`the model does not know ${JSON.stringify(Object.keys(clause))}`);
}

/** One object of the array satisfies the whole filter. */
function holdsNested(nested: Clause, point: ModelPoint): boolean {
  const elements = point.payload[(nested.key as string).replace('[]', '')] ?? [];
  return (elements as Json[]).some((element) => {
    if (element === null || typeof element !== 'object') return false;
    return holdsFilter(nested.filter as Clause, { ...point, payload: element as Payload });
  });
}

function keyOf(clause: Json | undefined): string {
  return (clause as { key: string }).key;
}

/** Values under a dotted path; an array stands for its elements. */
function valuesAt(payload: Payload, path: string): Json[] {
  const values = wholeValuesAt(payload, path);
  return values.flatMap((value) => (Array.isArray(value) ? value : [value]));
}

/** Values under a dotted path, where only `key[]` goes through an array. */
function wholeValuesAt(payload: Payload, path: string): Json[] {
  let level: Json[] = [payload];
  for (const step of path.split('.')) {
    const key = step.replace('[]', '');
    level = level.flatMap((value) => {
      if (value === null || typeof value !== 'object' || Array.isArray(value)) return [];
      const next = value[key];
      if (next === undefined) return [];
      return step.endsWith('[]') && Array.isArray(next) ? next : [next];
    });
  }
  return level;
}

function countAt(payload: Payload, key: string): number {
  const value = payload[key];
  if (value === undefined || value === null) return 0;
  return Array.isArray(value) ? value.length : 1;
}

function isMatch(match: Clause, values: Json[]): boolean {
  if ('value' in match) return values.some((value) => value === match.value);
  if ('any' in match) return values.some((value) => (match.any as Json[]).includes(value));
  if ('except' in match) return values.some((value) => !(match.except as Json[]).includes(value));
  if ('text' in match) return holdsWords(match.text as string, values);
  throw new Error('the model does not know this match');
}

/** Every word wanted is in one of the texts; where no word is wanted, nothing matches. */
function holdsWords(wanted: string, values: Json[]): boolean {
  const present = values.flatMap((value) => (typeof value === 'string' ? wordsOf(value) : []));
  const words = wordsOf(wanted);
  return words.length > 0 && words.every((word) => present.includes(word));
}

function wordsOf(text: string): string[] {
  return text
    .toLowerCase()
    .split(/[\s.,/-]+/)
    .filter((word) => word !== '');
}

function isInRange(range: Clause, value: Json): boolean {
  const isDates = Object.values(range).some((bound) => typeof bound === 'string');
  if (!isDates) return typeof value === 'number' && isBetween(range, value);
  const micros = typeof value === 'string' ? microsOf(value) : undefined;
  if (micros === undefined) return false;
  const bounds = Object.entries(range).map(([name, text]) => [name, microsOf(text as string)]);
  return isBetween(Object.fromEntries(bounds), micros);
}

function isBetween(range: Clause, value: number): boolean {
  const { lt, lte, gt, gte } = range as Record<string, number | undefined>;
  return (
    (lt === undefined || value < lt) &&
    (lte === undefined || value <= lte) &&
    (gt === undefined || value > gt) &&
    (gte === undefined || value >= gte)
  );
}

const DATE = /^(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d)(:\d\d)?(?:\.(\d+))?(.*))?$/;

/** Microseconds since 1970 by way of `Date`, or undefined when the text is not a date. */
function microsOf(text: string): number | undefined {
  const match = DATE.exec(text);
  if (match === null) return undefined;
  const [, day, minute = '00:00', second = ':00', fraction = '', zone = ''] = match;
  const utc = `${day}T${minute}${second}`;
  const ms = Date.parse(`${utc}Z`);
  // `Date` takes 30 February for 1 March.
  if (Number.isNaN(ms) || !new Date(ms).toISOString().startsWith(utc)) return undefined;
  const [, sign, hours = '0', minutes = '0'] = /^([+-])(\d\d):?(\d\d)?$/.exec(zone) ?? [];
  const ahead = (Number(hours) * 60 + Number(minutes)) * (sign === '-' ? -1 : 1);
  return (ms - ahead * 60_000) * 1_000 + Number(fraction.padEnd(6, '0').slice(0, 6));
}
