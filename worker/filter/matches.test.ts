import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { parseFilter } from '../../shared/domain/parse-filter.ts';
import type { JsonObject, PointId } from '../../shared/domain/point.ts';
import { matches } from './matches.ts';

const PAYLOAD: JsonObject = {
  price: 499.9,
  amount: 10,
  big: 2n ** 63n,
  rating: [3, 7, 9],
  color: 'red',
  text: 'The quick, brown Fox',
  texts: ['one two', 'three'],
  delivery: true,
  shipped: '2020-02-15T00:00:00Z',
  parts: [],
  packaging: null,
  nulls: [null],
  matrix: [[1, 2]],
  country: { name: 'Germany', cities: [{ name: 'Berlin', people: 3.7, sights: ['Gate'] }] },
  diet: [
    { food: 'leaves', likes: false },
    { food: 'meat', likes: true },
    { food: 'fruit', likes: null },
  ],
  'a.b': 1,
};

function holds(condition: unknown, payload: JsonObject | null = PAYLOAD, id: PointId = 1): boolean {
  return matches(parseFilter({ must: [condition] }, 'filter'), { id, payload });
}

function table(cases: [unknown, boolean][]): void {
  for (const [condition, expected] of cases) {
    assert.equal(holds(condition), expected, JSON.stringify(condition));
  }
}

const value = (key: string, wanted: unknown) => ({ key, match: { value: wanted } });

describe('match', () => {
  it('is strict in type and looks into arrays one level', () => {
    table([
      [value('color', 'red'), true],
      [value('color', 'Red'), false],
      [value('amount', 10), true],
      [value('amount', '10'), false],
      [value('delivery', true), true],
      [value('delivery', 1), false],
      [value('rating', 7), true],
      [value('rating', 8), false],
      [value('rating[]', 7), true],
      [value('rating[1]', 7), true],
      [value('rating[0]', 7), false],
      [value('matrix', 1), false],
      [value('matrix[]', 1), true],
      [value('country.name', 'Germany'), true],
      [value('country.cities[].name', 'Berlin'), true],
      [value('country.cities.name', 'Berlin'), false],
      [value('country.cities[].sights', 'Gate'), true],
      [value('"a.b"', 1), true],
      [value('a.b', 1), false],
      [value('color.x', 'red'), false],
    ]);
    assert.equal(holds(value('big', 2n ** 63n)), true);
    assert.equal(holds(value('big', 2n ** 63n + 1n)), false);
  });

  it('any and except', () => {
    table([
      [{ key: 'color', match: { any: ['blue', 'red'] } }, true],
      [{ key: 'color', match: { any: [] } }, false],
      [{ key: 'color', match: { except: ['red'] } }, false],
      [{ key: 'color', match: { except: [1] } }, true],
      [{ key: 'color', match: { except: [] } }, true],
      [{ key: 'rating', match: { except: [3, 7] } }, true],
      [{ key: 'rating', match: { except: [3, 7, 9] } }, false],
      [{ key: 'packaging', match: { except: ['x'] } }, false],
      [{ key: 'nulls', match: { except: ['x'] } }, false],
      [{ key: 'parts', match: { except: ['x'] } }, false],
      [{ key: 'absent', match: { except: ['x'] } }, false],
      [{ key: 'country', match: { except: ['x'] } }, true],
    ]);
  });

  it('text: every token, in any order, anywhere in the key', () => {
    table([
      [{ key: 'text', match: { text: 'fox THE' } }, true],
      [{ key: 'text', match: { text: 'fo' } }, false],
      [{ key: 'text', match: { text: 'fox cat' } }, false],
      [{ key: 'text', match: { text: '' } }, false],
      [{ key: 'text', match: { text: '...' } }, false],
      [{ key: 'texts', match: { text: 'three one' } }, true],
      [{ key: 'amount', match: { text: '10' } }, false],
    ]);
  });
});

describe('range', () => {
  it('numbers', () => {
    table([
      [{ key: 'price', range: { gt: 499, lt: 500 } }, true],
      [{ key: 'amount', range: { gte: 10, lte: 10 } }, true],
      [{ key: 'amount', range: { gt: 10 } }, false],
      [{ key: 'rating', range: { gt: 8 } }, true],
      [{ key: 'rating', range: { gt: 3.5, lt: 6.5 } }, false],
      [{ key: 'big', range: { gt: 1e18 } }, true],
      [{ key: 'color', range: {} }, false],
      [{ key: 'amount', range: {} }, true],
      [{ key: 'shipped', range: { gt: 0 } }, false],
    ]);
  });

  it('dates', () => {
    table([
      [{ key: 'shipped', range: { gte: '2020-02-15' } }, true],
      [{ key: 'shipped', range: { gt: '2020-02-14T23:00:00-01:00' } }, false],
      [{ key: 'shipped', range: { lt: '2020-02-15T00:00:00.000001Z' } }, true],
      [{ key: 'color', range: { lt: '2020-02-15' } }, false],
      [{ key: 'amount', range: { lt: '2020-02-15' } }, false],
    ]);
  });
});

describe('presence', () => {
  it('is_empty, is_null, values_count', () => {
    table([
      [{ is_empty: { key: 'absent' } }, true],
      [{ is_empty: { key: 'parts' } }, true],
      [{ is_empty: { key: 'packaging' } }, true],
      [{ is_empty: { key: 'nulls' } }, false],
      [{ is_empty: { key: 'country.x' } }, true],
      [{ key: 'color', is_empty: false }, true],
      [{ is_null: { key: 'packaging' } }, true],
      [{ is_null: { key: 'nulls' } }, false],
      [{ is_null: { key: 'nulls[]' } }, true],
      [{ is_null: { key: 'diet[].likes' } }, true],
      [{ is_null: { key: 'absent' } }, false],
      [{ key: 'rating', values_count: { gte: 3, lte: 3 } }, true],
      [{ key: 'color', values_count: { gt: 0 } }, true],
      [{ key: 'packaging', values_count: { lt: 1 } }, true],
      [{ key: 'absent', values_count: { lt: 1 } }, false],
    ]);
    assert.equal(holds({ is_empty: { key: 'a' } }, null), true);
    assert.equal(holds({ is_null: { key: 'a' } }, null), false);
  });
});

describe('ids, vectors, nested, groups', () => {
  it('has_id and has_vector', () => {
    table([
      [{ has_id: [2, 1] }, true],
      [{ has_id: [2] }, false],
      [{ has_vector: '' }, true],
      [{ has_vector: 'image' }, false],
    ]);
    assert.equal(holds({ has_id: [2n ** 63n] }, null, 2n ** 63n), true);
  });

  it('nested: all conditions on one element', () => {
    const nested = (food: string, likes: boolean) => ({
      nested: { key: 'diet', filter: { must: [value('food', food), value('likes', likes)] } },
    });
    table([
      [nested('meat', true), true],
      [nested('leaves', true), false],
      [{ nested: { key: 'diet', filter: { must_not: value('food', 'meat') } } }, true],
      [{ nested: { key: 'diet', filter: { must: { has_id: [1] } } } }, false],
      [{ nested: { key: 'rating', filter: {} } }, false],
      [{ nested: { key: 'country', filter: {} } }, false],
    ]);
  });

  it('groups', () => {
    const yes = value('amount', 10);
    const no = value('amount', 11);
    const some = (minCount: number, ...conditions: unknown[]) => ({
      min_should: { conditions, min_count: minCount },
    });
    table([
      [{ must: [yes, no] }, false],
      [{ should: [yes, no] }, true],
      [{ should: [no] }, false],
      [{ should: [] }, true],
      [{ must_not: [no] }, true],
      [{ must_not: [no, yes] }, false],
      [{ must: [yes], should: [no] }, false],
      [some(2, yes, no, yes), true],
      [some(3, yes, no, yes), false],
      [some(1), false],
      [{}, true],
    ]);
  });
});
