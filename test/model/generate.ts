/** Random points, filters and queries, all from one seed. */
import type { SeededRandom } from '../../shared/base/random.ts';
import type { Clause, Id, ModelPoint, Payload } from './model.ts';

export const DIMENSION = 8;
const KINDS = ['red', 'green', 'blue', 'grün'];
const TAGS = ['a', 'b', 'c', 'd', 'e'];

export class Generator {
  readonly random: SeededRandom;

  constructor(random: SeededRandom) {
    this.random = random;
  }

  /** One of a few hundred ids of all three kinds, so that replacing is common. */
  id(): Id {
    const n = this.random.below(300);
    if (n % 3 === 0) return n;
    if (n % 3 === 1) return 2n ** 63n + BigInt(n);
    return `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
  }

  ids(countMax: number): Id[] {
    return [...new Set(this.#list(1 + this.random.below(countMax), () => this.id()))];
  }

  vector(): number[] {
    return this.#list(DIMENSION, () => Math.fround(this.random.normal()));
  }

  point(): ModelPoint {
    return { id: this.id(), vector: this.vector(), payload: this.payload() };
  }

  /** Points with distinct ids. */
  points(countMax: number): ModelPoint[] {
    const points = this.#list(1 + this.random.below(countMax), () => this.point());
    return [...new Map(points.map((point) => [point.id, point])).values()];
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
      () => ({ is_empty: { key: random.pick(['n', 'tags', 'weight']) } }),
      () => ({ is_null: { key: 'n' } }),
      () => ({ has_id: this.ids(20) }),
    ])();
  }

  #list<T>(count: number, make: () => T): T[] {
    return Array.from({ length: count }, make);
  }
}
