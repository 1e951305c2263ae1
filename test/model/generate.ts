/** Random points, filters and queries, all from one seed. */
import type { SeededRandom } from '../../shared/base/random.ts';
import type { Clause, Id, Json, ModelPoint, Payload } from './model.ts';

export const DIMENSION = 8;
const KINDS = ['red', 'green', 'blue', 'grün'];
const TAGS = ['a', 'b', 'c', 'd', 'e'];
const WORDS = ['red', 'Green', 'GRÜN', 'tree', 'x2', '2024', 'Ωmega', 'trees'];
const SEPARATORS = [' ', ', ', '-', '/', '. '];
const NO_DATES = ['yesterday', '2023-02-30', '2024-13-01T00:00:00Z', '2024-01-01T25:00:00Z', ''];
const OFFSETS = [
  { minutes: 330, offset: '+05:30' },
  { minutes: -480, offset: '-0800' },
  { minutes: 60, offset: '+01' },
];
const FIRST_DAY_MS = Date.UTC(2023, 10, 1);
const DAYS = 200;
const DAY_MS = 86_400_000;

/** Ids are the images of `first`, `first + 1`, ... */
export interface IdRange {
  first: number;
  count: number;
}

export class Generator {
  readonly random: SeededRandom;
  readonly #range: IdRange;

  constructor(random: SeededRandom, range: IdRange) {
    this.random = random;
    this.#range = range;
  }

  id(): Id {
    return idOf(this.#range.first + this.random.below(this.#range.count));
  }

  ids(countMax: number): Id[] {
    return [...new Set(this.#list(1 + this.random.below(countMax), () => this.id()))];
  }

  vector(): number[] {
    return this.#list(DIMENSION, () => Math.fround(this.random.normal()));
  }

  point(id = this.id()): ModelPoint {
    return { id, vector: this.vector(), payload: this.payload() };
  }

  /** Points with distinct ids. */
  points(countMax: number): ModelPoint[] {
    const points = this.#list(1 + this.random.below(countMax), () => this.point());
    return [...new Map(points.map((point) => [point.id, point])).values()];
  }

  /** A point for each of the first `count` ids. */
  firstPoints(count: number): ModelPoint[] {
    return Array.from({ length: count }, (_, n) => this.point(idOf(this.#range.first + n)));
  }

  payload(): Payload {
    const { random } = this;
    const payload: Payload = {};
    if (random.next() < 0.8) payload.kind = random.pick(KINDS);
    if (random.next() < 0.8) payload.n = random.next() < 0.1 ? null : random.below(50);
    if (random.next() < 0.5) payload.weight = random.normal();
    if (random.next() < 0.5) payload.flag = random.next() < 0.5;
    if (random.next() < 0.6) payload.tags = this.#list(random.below(4), () => random.pick(TAGS));
    if (random.next() < 0.4) payload.deep = { kind: random.pick(KINDS), n: random.below(9) };
    if (random.next() < 0.5) payload.text = this.#oneOrTwo(() => this.#phrase());
    if (random.next() < 0.5) payload.at = this.#oneOrTwo(() => this.#dateOrNot());
    if (random.next() < 0.5) payload.parts = this.#list(random.below(4), () => this.#part());
    return payload;
  }

  filter(depth = 0): Clause {
    const { random } = this;
    const filter: Clause = {};
    const clauses = () => this.#list(1 + random.below(2), () => this.#clause(depth));
    if (random.next() < 0.6) filter.must = clauses();
    if (random.next() < 0.3) filter.should = clauses();
    if (random.next() < 0.3) filter.must_not = clauses();
    if (random.next() < 0.15) {
      filter.min_should = { conditions: [...clauses(), ...clauses()], min_count: 2 };
    }
    if (Object.keys(filter).length === 0) filter.must = clauses();
    return filter;
  }

  #clause(depth: number): Clause {
    const { random } = this;
    if (depth < 2 && random.next() < 0.15) return this.filter(depth + 1);
    const low = random.below(40);
    return random.pick<() => Clause>([
      () => ({ key: 'kind', match: { value: random.pick(KINDS) } }),
      () => ({ key: 'kind', match: { any: [random.pick(KINDS), random.pick(KINDS)] } }),
      () => ({ key: 'kind', match: { except: [random.pick(KINDS)] } }),
      () => ({ key: 'n', match: { value: random.below(50) } }),
      () => ({ key: 'n', range: { gte: low, lt: low + 1 + random.below(20) } }),
      () => ({ key: 'weight', range: { gt: random.normal() } }),
      () => ({ key: 'flag', match: { value: random.next() < 0.5 } }),
      () => ({ key: 'tags', match: { value: random.pick(TAGS) } }),
      () => ({ key: 'tags', match: { any: [random.pick(TAGS), random.pick(TAGS)] } }),
      () => ({ key: 'tags', values_count: { gte: 1 + random.below(3) } }),
      () => ({ key: 'deep.kind', match: { value: random.pick(KINDS) } }),
      () => ({ key: 'deep.n', range: { lte: random.below(9) } }),
      () => ({ key: 'text', match: { text: this.#phrase() } }),
      () => ({ key: 'at', range: this.#dateRange() }),
      () => ({ key: 'parts[].kind', match: { value: random.pick(KINDS) } }),
      () => ({ nested: { key: random.pick(['parts', 'parts[]']), filter: this.#partFilter() } }),
      () => ({ is_empty: { key: random.pick(['n', 'tags', 'weight', 'parts']) } }),
      () => ({ is_null: { key: 'n' } }),
      () => ({ has_id: this.ids(20) }),
    ])();
  }

  /** One to three words; now and then no word at all. */
  #phrase(): string {
    const { random } = this;
    if (random.next() < 0.05) return random.pick(['', '...']);
    return this.#list(1 + random.below(3), () => random.pick(WORDS)).join(random.pick(SEPARATORS));
  }

  /** An element of `parts`; not all are objects. */
  #part(): Json {
    const { random } = this;
    if (random.next() < 0.1) return random.pick<Json>([7, 'red', null]);
    const part: Payload = {};
    if (random.next() < 0.8) part.kind = random.pick(KINDS);
    if (random.next() < 0.8) part.n = random.below(9);
    return part;
  }

  /** Conditions that one element has to satisfy at once. */
  #partFilter(): Clause {
    const { random } = this;
    const kind: Clause = { key: 'kind', match: { value: random.pick(KINDS) } };
    const n: Clause = { key: 'n', range: { gte: random.below(9) } };
    return random.pick<Clause>([
      { must: [kind, n] },
      { must: [n], must_not: [kind] },
      { must: [kind, { is_empty: { key: 'n' } }] },
      { should: [kind, n] },
    ]);
  }

  #dateRange(): Clause {
    const { random } = this;
    const ms = this.#instantMs();
    const later = ms + (1 + random.below(60)) * DAY_MS;
    return random.pick<Clause>([
      { gte: this.#dateText(ms), lt: this.#dateText(later) },
      { gt: this.#dateText(ms), lte: this.#dateText(later) },
      { gte: this.#dateText(ms) },
      { lt: this.#dateText(ms) },
    ]);
  }

  #dateOrNot(): Json {
    const { random } = this;
    if (random.next() < 0.1) return random.pick<Json>([...NO_DATES, 20, null]);
    return this.#dateText(this.#instantMs());
  }

  /** Often exactly midnight, so that the ends of ranges are met. */
  #instantMs(): number {
    const { random } = this;
    const time = random.next() < 0.5 ? 0 : random.below(DAY_MS);
    return FIRST_DAY_MS + random.below(DAYS) * DAY_MS + time;
  }

  /** The instant, or what the form can say of it, in one of the forms that are dates. */
  #dateText(ms: number): string {
    const { random } = this;
    const iso = new Date(ms).toISOString();
    const { minutes, offset } = random.pick(OFFSETS);
    const local = new Date(ms + minutes * 60_000).toISOString();
    return random.pick([
      iso,
      local.replace('Z', offset),
      iso.toLowerCase(),
      iso.slice(0, 19),
      iso.slice(0, 10),
      iso.slice(0, 16).replace('T', ' '),
      iso.replace('Z', `${random.below(1_000_000)}Z`),
    ]);
  }

  #oneOrTwo(make: () => Json): Json {
    return this.random.next() < 0.8 ? make() : [make(), make()];
  }

  #list<T>(count: number, make: () => T): T[] {
    return Array.from({ length: count }, make);
  }
}

/** Ids of all three kinds: small and large integers, and UUIDs. */
function idOf(n: number): Id {
  if (n % 3 === 0) return n;
  if (n % 3 === 1) return 2n ** 63n + BigInt(n);
  return `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
}
