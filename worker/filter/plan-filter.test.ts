import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { Bitmap } from '../../shared/base/bitmap.ts';
import { SeededRandom, secureRandom } from '../../shared/base/random.ts';
import { PAYLOAD_INDEX_TYPES, type PayloadIndexType } from '../../shared/domain/collection.ts';
import type { Filter } from '../../shared/domain/filter.ts';
import { parseFilter } from '../../shared/domain/parse-filter.ts';
import type { JsonObject, JsonValue, PointId } from '../../shared/domain/point.ts';
import { matches } from './matches.ts';
import { PayloadIndexes } from './payload-indexes.ts';
import { type FilterPlan, planFilter } from './plan-filter.ts';

interface Point {
  id: PointId;
  payload: JsonObject | null;
}

/** A shard without vectors: rows by label, and the indexes that follow them. */
class Rows {
  readonly points = new Map<number, Point>();
  readonly live = new Bitmap();
  readonly indexes: PayloadIndexes;

  constructor(fields: Record<string, PayloadIndexType>) {
    this.indexes = new PayloadIndexes(fields);
  }

  put(label: number, payload: JsonObject | null): void {
    this.points.set(label, { id: label + 1_000, payload });
    this.live.add(label);
    this.indexes.put(label, payload);
  }

  remove(label: number): void {
    this.points.delete(label);
    this.live.delete(label);
    this.indexes.remove(label);
  }

  plan(filter: Filter): FilterPlan {
    return planFilter(filter, {
      indexes: this.indexes,
      live: this.live,
      labelsOf: (ids) =>
        ids.map((id) => Number(id) - 1_000).filter((label) => this.points.has(label)),
    });
  }

  /** What a scan of all rows finds. */
  scan(filter: Filter): number[] {
    const found = [...this.points].filter(([, point]) => matches(filter, point));
    return found.map(([label]) => label).sort((a, b) => a - b);
  }

  /** What the plan finds. */
  search(filter: Filter): number[] {
    const { candidates, residual, estimate } = this.plan(filter);
    const labels = [...candidates.toLabels()];
    const found = labels.filter((label) => {
      const point = this.points.get(label);
      assert.ok(point, 'candidates are live');
      return !residual || matches(filter, point);
    });
    const { min, expected, max } = estimate;
    assert.ok(min <= found.length && found.length <= max && min <= expected && expected <= max);
    if (!residual) assert.equal(expected, found.length);
    return found;
  }
}

// Few values and few keys, so that conditions meet values, and values of every type each other.
const ROWS = 40;
const WORDS = ['red', 'dark red', 'Red!', '--'];
const DATES = ['2024-01-01', '2024-01-01T00:00:00Z', '2023-12-31T23:00:00-01:00', '2024-06-01'];

function randomScalar(random: SeededRandom): JsonValue {
  const kind = random.below(8);
  if (kind === 0) return null;
  if (kind === 1) return random.below(2) === 0;
  if (kind === 2) return random.below(3) - 1;
  if (kind === 3) return random.below(4) / 2 - 1;
  if (kind === 4) return 2n ** 60n + BigInt(random.below(3));
  if (kind === 5) return random.pick(DATES);
  return random.pick(WORDS);
}

/** Of one type mostly, so that an index knows all values of a row or all but one. */
function randomList(random: SeededRandom, depth: number): JsonValue[] {
  const sample = randomScalar(random);
  return Array.from({ length: random.below(4) }, () => {
    const kind = random.below(10);
    if (kind < 4) return sample;
    return kind < 6 ? randomScalar(random) : randomPayload(random, depth + 1);
  });
}

function randomValue(random: SeededRandom, depth: number): JsonValue {
  const kind = random.below(depth > 2 ? 5 : 9);
  if (kind < 5) return randomScalar(random);
  return kind === 5 ? randomPayload(random, depth + 1) : randomList(random, depth);
}

function randomPayload(random: SeededRandom, depth = 0): JsonObject {
  const payload: JsonObject = {};
  for (const key of ['a', 'b']) {
    if (random.below(5) > 0) payload[key] = randomValue(random, depth);
  }
  return payload;
}

const KEYS = ['a', 'b', 'a[]', 'a.b', 'a[].b', 'b[].a', 'a[].b[].a', 'b[0]'];

function randomMatchValue(random: SeededRandom): JsonValue {
  const value = randomScalar(random);
  if (value === null || (typeof value === 'number' && !Number.isInteger(value))) return 1;
  return value;
}

function randomRange(random: SeededRandom): Record<string, JsonValue> {
  const dates = random.below(3) === 0;
  const range: Record<string, JsonValue> = {};
  for (const bound of ['lt', 'lte', 'gt', 'gte']) {
    if (random.below(3) === 0) range[bound] = dates ? random.pick(DATES) : random.below(8) / 2 - 1;
  }
  return range;
}

function randomCondition(random: SeededRandom, depth: number): unknown {
  const key = random.pick(KEYS);
  const several = () => Array.from({ length: random.below(4) }, () => randomMatchValue(random));
  const kind = random.below(depth > 2 ? 11 : 14);
  if (kind === 0) return { is_empty: { key } };
  if (kind === 1) return { is_null: { key } };
  if (kind === 2) return { key, values_count: { gte: random.below(3) } };
  if (kind === 3) return { has_id: Array.from({ length: 5 }, () => 1_000 + random.below(ROWS)) };
  if (kind === 4) return { key, match: { text: random.pick([...WORDS, 'red dark']) } };
  if (kind === 5) return { key, match: { except: several() } };
  if (kind === 6) return { key, match: { any: several() } };
  if (kind === 7) return { has_vector: random.pick(['', '', 'x']) };
  if (kind <= 9) return { key, match: { value: randomMatchValue(random) } };
  if (kind === 10) return { key, range: randomRange(random) };
  if (kind <= 12) {
    const nestedKey = random.pick(['a', 'b']);
    return { nested: { key: nestedKey, filter: randomFilter(random, depth + 1) } };
  }
  return randomFilter(random, depth + 1);
}

const GROUPS = ['must', 'must', 'should', 'must_not'];

function randomFilter(random: SeededRandom, depth = 0): Record<string, unknown> {
  const list = (most: number) =>
    Array.from({ length: random.below(most + 1) }, () => randomCondition(random, depth));
  if (random.below(2) === 0) return { [random.pick(GROUPS)]: [randomCondition(random, depth)] };
  const filter: Record<string, unknown> = {};
  if (random.below(2) === 0) filter.must = list(3);
  if (random.below(3) === 0) filter.should = list(3);
  if (random.below(3) === 0) filter.must_not = list(2);
  if (random.below(4) === 0) {
    filter.min_should = { conditions: list(4), min_count: 1 + random.below(3) };
  }
  return filter;
}

describe('planFilter', () => {
  it('finds what a scan finds, under churn, for every index type (random)', () => {
    const seed = secureRandom.below(2 ** 32);
    console.log(`plan-filter seed ${seed}`);
    const random = new SeededRandom(seed);
    let residuals = 0;
    let exacts = 0;
    for (let round = 0; round < 100; round += 1) {
      const fields: Record<string, PayloadIndexType> = {};
      for (const key of KEYS) {
        if (random.below(3) > 0) fields[key] = random.pick(PAYLOAD_INDEX_TYPES);
      }
      const rows = new Rows(fields);
      for (let step = 0; step < 120; step += 1) {
        const label = random.below(ROWS);
        if (random.below(6) === 0) rows.remove(label);
        else rows.put(label, random.below(12) === 0 ? null : randomPayload(random));
        if (step < ROWS) continue;
        const json = randomFilter(random);
        const filter = parseFilter(json, 'filter');
        const expected = rows.scan(filter);
        assert.deepEqual(rows.search(filter), expected, `round ${round} ${inspect(json, fields)}`);
        if (rows.plan(filter).residual) residuals += 1;
        else exacts += 1;
      }
    }
    // Both ways must have been taken, or the test would prove nothing of one of them.
    assert.ok(residuals > 100 && exacts > 100, `${residuals} residual, ${exacts} exact`);
  });

  it('answers each condition that its index can answer without reading payloads', () => {
    const rows = new Rows({
      word: 'keyword',
      text: 'text',
      int: 'integer',
      float: 'float',
      bool: 'bool',
      date: 'datetime',
    });
    const random = new SeededRandom(7);
    for (let label = 0; label < 200; label += 1) {
      rows.put(label, {
        word: random.pick(['x', 'y', 'z']),
        text: random.pick(['one two', 'two three']),
        int: random.below(10),
        float: [random.next(), random.next()],
        bool: random.below(2) === 0,
        date: random.pick(DATES),
      });
    }
    const exact = [
      { key: 'word', match: { value: 'x' } },
      { key: 'word', match: { any: ['x', 'y'] } },
      { key: 'word', match: { except: ['x'] } },
      { key: 'text', match: { text: 'three' } },
      { key: 'int', match: { value: 3 } },
      { key: 'int', range: { gte: 3, lt: 7 } },
      { key: 'float', range: { gt: 0.5 } },
      { key: 'bool', match: { value: true } },
      { key: 'bool', match: { except: [true] } },
      { key: 'date', range: { gt: '2024-01-01' } },
      { is_empty: { key: 'word' } },
      { is_null: { key: 'int' } },
      { has_id: [1_001, 1_002, 5] },
      { has_vector: '' },
      { must_not: [{ key: 'word', match: { value: 'x' } }] },
      {
        min_should: {
          conditions: [
            { key: 'word', match: { value: 'x' } },
            { key: 'bool', match: { value: true } },
            { key: 'int', range: { gt: 5 } },
          ],
          min_count: 2,
        },
      },
    ];
    for (const condition of exact) {
      const filter = parseFilter({ must: [condition] }, 'filter');
      assert.equal(rows.plan(filter).residual, false, JSON.stringify(condition));
      assert.deepEqual(rows.search(filter), rows.scan(filter), JSON.stringify(condition));
    }
  });

  it('narrows by what is indexed and leaves the rest to the payloads', () => {
    const rows = new Rows({ word: 'keyword', 'list[].kind': 'keyword' });
    for (let label = 0; label < 100; label += 1) {
      rows.put(label, { word: `w${label % 10}`, n: label, list: [{ kind: `k${label % 5}` }] });
    }
    const narrowed = rows.plan(
      parseFilter(
        {
          must: [
            { key: 'n', range: { gte: 50 } },
            { key: 'word', match: { value: 'w3' } },
          ],
        },
        'filter',
      ),
    );
    assert.deepEqual(narrowed.estimate, { min: 0, expected: 5, max: 10 });
    assert.equal(narrowed.residual, true);
    const nested = {
      nested: { key: 'list', filter: { must: { key: 'kind', match: { value: 'k1' } } } },
    };
    assert.equal(rows.plan(parseFilter({ must: nested }, 'filter')).candidates.count(), 20);
  });

  it('does not drop a row that also has a value of another type, or shares a double', () => {
    const rows = new Rows({ word: 'keyword', int: 'integer', 'list[].x': 'keyword' });
    rows.put(0, { word: ['x', 5], int: 2n ** 60n, list: [{ x: 'a' }, {}] });
    rows.put(1, { word: 'x', int: 2n ** 60n + 1n, list: [{ x: 'b' }] });
    const listed = (filter: unknown) => ({ nested: { key: 'list', filter } });
    const x = { key: 'x', match: { value: 'a' } };
    const cases: [unknown, number[]][] = [
      [{ key: 'word', match: { except: ['x'] } }, [0]],
      [{ key: 'word', match: { except: ['x', 5] } }, []],
      [{ key: 'int', match: { value: 2n ** 60n + 1n } }, [1]],
      [{ key: 'int', match: { any: [2n ** 60n] } }, [0]],
      [listed({ must: { is_empty: { key: 'x' } } }), [0]],
      [listed({ must_not: x }), [0, 1]],
      [listed({ should: [x, { must_not: x }] }), [0, 1]],
      [listed({ must: { key: 'x', match: { except: [] } }, should: [x, { must_not: x }] }), [0, 1]],
    ];
    for (const [condition, expected] of cases) {
      assert.deepEqual(rows.search(parseFilter({ must: condition }, 'filter')), expected);
    }
  });

  it('gives a bitmap of its own', () => {
    const rows = new Rows({ word: 'keyword' });
    for (let label = 0; label < 500; label += 1) rows.put(label, { word: 'x', empty: null });
    for (const must of [[], [{ key: 'word', match: { value: 'x' } }], [{ has_vector: '' }]]) {
      const filter = parseFilter({ must }, 'filter');
      const { candidates } = rows.plan(filter);
      for (let label = 0; label < 500; label += 1) candidates.delete(label);
      assert.equal(rows.plan(filter).candidates.count(), 500);
      assert.equal(rows.live.count(), 500);
    }
  });
});

describe('PayloadIndexes', () => {
  const filter = parseFilter({ must: [{ key: 'a', match: { value: 'x' } }] }, 'filter');

  it('uses an added index only when it is filled', () => {
    const rows = new Rows({});
    for (let label = 0; label < 10; label += 1) rows.put(label, { a: label % 2 ? 'x' : 'y' });
    rows.indexes.addField('a', 'keyword');
    rows.put(10, { a: 'x' });
    assert.deepEqual(rows.search(filter), [1, 3, 5, 7, 9, 10]);
    assert.equal(rows.plan(filter).residual, true);
    for (const [label, { payload }] of rows.points) rows.indexes.putField('a', label, payload);
    rows.indexes.finishField('a');
    assert.deepEqual(rows.search(filter), [1, 3, 5, 7, 9, 10]);
    assert.equal(rows.plan(filter).residual, false);
    assert.deepEqual(rows.indexes.fields, { a: 'keyword' });
    assert.equal(rows.indexes.pointsWith('a'), 11);
    rows.indexes.removeField('a');
    assert.deepEqual(rows.search(filter), [1, 3, 5, 7, 9, 10]);
    assert.equal(rows.indexes.pointsWith('a'), 0);
  });

  it('knows a field under every spelling of its path', () => {
    const indexes = new PayloadIndexes({ '"a".b': 'keyword' });
    indexes.put(1, { a: { b: 'x' } });
    assert.equal(indexes.pointsWith('a.b'), 1);
    assert.deepEqual(indexes.fields, { 'a.b': 'keyword' });
  });

  it('gives back memory when points go', () => {
    const indexes = new PayloadIndexes({ a: 'keyword', n: 'integer', t: 'text' });
    const before = indexes.memoryBytes;
    for (let label = 0; label < 5_000; label += 1) {
      indexes.put(label, { a: `v${label}`, n: label, t: `word${label} common` });
    }
    const full = indexes.memoryBytes;
    for (let label = 0; label < 5_000; label += 1) indexes.remove(label);
    assert.ok(full > 500_000 && before < 1_000);
    assert.ok(indexes.memoryBytes < full / 4, `${full} -> ${indexes.memoryBytes}`);
  });
});

function inspect(json: unknown, fields: unknown): string {
  const big = (_key: string, value: unknown) => (typeof value === 'bigint' ? `${value}n` : value);
  return `${JSON.stringify(json, big)} with ${JSON.stringify(fields)}`;
}
