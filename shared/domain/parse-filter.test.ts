import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InvalidInput } from '../base/invalid.ts';
import type { Condition } from './filter.ts';
import { LIMITS } from './limits.ts';
import { parseFilter } from './parse-filter.ts';

const GROUP = { must: [], should: [], mustNot: [] };

function one(condition: unknown): Condition {
  const { must } = parseFilter({ must: [condition] }, 'filter');
  assert.equal(must.length, 1);
  return must[0] as Condition;
}

function refusal(filter: unknown): string {
  try {
    parseFilter(filter, 'filter');
  } catch (error) {
    assert.ok(error instanceof InvalidInput, String(error));
    assert.ok(error.path.startsWith('filter'));
    return error.message;
  }
  assert.fail(`${JSON.stringify(filter)} was accepted`);
}

describe('groups', () => {
  it('takes lists, single conditions, null and nothing', () => {
    const condition = { kind: 'is-null', path: ['a'] };
    const json = { is_null: { key: 'a' } };
    assert.deepEqual(parseFilter({}, 'filter'), GROUP);
    assert.deepEqual(parseFilter({ must: null, min_should: null }, 'filter'), GROUP);
    assert.deepEqual(parseFilter({ must: json, should: [json], must_not: [json] }, 'filter'), {
      must: [condition],
      should: [condition],
      mustNot: [condition],
    });
    assert.deepEqual(one({ should: [json] }), {
      kind: 'group',
      filter: { ...GROUP, should: [condition] },
    });
  });

  it('takes min_should', () => {
    const json = { min_should: { conditions: [{ is_null: { key: 'a' } }], min_count: 1 } };
    assert.deepEqual(parseFilter(json, 'filter').minShould, {
      conditions: [{ kind: 'is-null', path: ['a'] }],
      minCount: 1,
    });
    assert.match(refusal({ min_should: { conditions: [], min_count: 0 } }), /min_count/);
    assert.match(refusal({ min_should: { min_count: 1 } }), /conditions: a list/);
    assert.match(refusal({ min_should: { conditions: {}, min_count: 1 } }), /conditions: a list/);
  });

  it('refuses what is no filter, naming the field', () => {
    assert.match(refusal(null), /^filter: a filter is an object/);
    assert.match(refusal([]), /^filter: a filter is an object/);
    assert.match(refusal({ musst: [] }), /unknown field "musst"/);
    assert.match(refusal({ must: ['a'] }), /^filter\.must\[0\]: a condition is an object/);
    assert.match(refusal({ must: [{ shuld: [] }] }), /unknown condition "shuld"/);
    assert.match(refusal({ must: [{ x: 'y'.repeat(9), ['z'.repeat(999)]: 1 }] }), /"x"/);
  });
});

describe('conditions on a key', () => {
  it('takes every match', () => {
    const match = (json: unknown) => one({ key: 'a[].b', match: json });
    const path = ['a', true, 'b'];
    assert.deepEqual(match({ value: 'x' }), { kind: 'match-any', path, values: ['x'] });
    assert.deepEqual(match({ value: false }), { kind: 'match-any', path, values: [false] });
    assert.deepEqual(match({ value: 2n ** 60n }), { kind: 'match-any', path, values: [2n ** 60n] });
    assert.deepEqual(match({ any: [1, 1, 2] }), { kind: 'match-any', path, values: [1, 2] });
    assert.deepEqual(match({ any: [] }), { kind: 'match-any', path, values: [] });
    assert.deepEqual(match({ except: ['x'] }), { kind: 'match-except', path, values: ['x'] });
    assert.deepEqual(match({ text: 'X y' }), { kind: 'match-text', path, text: 'X y' });
  });

  it('refuses other matches', () => {
    const match = (json: unknown) => refusal({ must: { key: 'a', match: json } });
    assert.match(match({}), /exactly one of/);
    assert.match(match({ value: 1, any: [1] }), /exactly one of/);
    assert.match(match({ value: 1.5 }), /use "range" for fractions/);
    assert.match(match({ value: {} }), /a value to match is/);
    assert.match(match({ any: 'x' }), /any: a list is needed/);
    assert.match(match({ any: [null] }), /any\[0\]: a value to match/);
    assert.match(match({ text: 1 }), /text: a text is needed/);
    assert.match(match({ phrase: 'x' }), /"phrase" is not supported/);
    assert.match(match({ keyword: 'x' }), /unknown field "keyword"/);
    assert.match(match({ any: Array(LIMITS.filterValuesMax + 1).fill(1) }), /at most 10000 values/);
  });

  it('takes ranges of numbers and of dates', () => {
    const range = (json: unknown) => one({ key: 'a', range: json });
    const path = ['a'];
    assert.deepEqual(range({ gte: 1, lt: 2.5, gt: null }), {
      kind: 'range',
      path,
      range: { gte: 1, lt: 2.5 },
    });
    assert.deepEqual(range({}), { kind: 'range', path, range: {} });
    assert.deepEqual(range({ lte: 2n ** 60n }), { kind: 'range', path, range: { lte: 2 ** 60 } });
    assert.deepEqual(range({ gt: '1970-01-01T00:00:01Z', lte: '1970-01-02' }), {
      kind: 'datetime-range',
      path,
      range: { gt: 1_000_000, lte: 86_400_000_000 },
    });
    const bad = (json: unknown) => refusal({ must: { key: 'a', range: json } });
    assert.match(bad({ gt: 1, lt: '2024-01-01' }), /all numbers or all dates/);
    assert.match(bad({ gt: 'soon' }), /an RFC 3339 date is needed/);
    assert.match(bad({ gt: true }), /a number or an RFC 3339 date/);
    assert.match(bad({ above: 1 }), /unknown field "above"/);
    assert.match(bad([]), /"range" is an object/);
  });

  it('takes counts and both spellings of is_empty and is_null', () => {
    const path = ['a'];
    assert.deepEqual(one({ key: 'a', values_count: { gt: 2 } }), {
      kind: 'values-count',
      path,
      range: { gt: 2 },
    });
    assert.deepEqual(one({ key: 'a', is_empty: true }), { kind: 'is-empty', path });
    assert.deepEqual(one({ is_empty: { key: 'a' } }), { kind: 'is-empty', path });
    assert.deepEqual(one({ key: 'a', is_null: false }), {
      kind: 'group',
      filter: { ...GROUP, mustNot: [{ kind: 'is-null', path }] },
    });
    assert.match(refusal({ must: { key: 'a', values_count: { gt: -1 } } }), /at least 0/);
    assert.match(refusal({ must: { key: 'a', is_null: 'yes' } }), /true or false/);
    assert.match(refusal({ must: { is_null: 'a' } }), /"is_null" is an object with "key"/);
  });

  it('refuses several checks, none, geo and bad keys', () => {
    const a = { key: 'a' };
    assert.match(refusal({ must: a }), /exactly one of/);
    assert.match(refusal({ must: { ...a, match: { value: 1 }, range: {} } }), /exactly one of/);
    assert.match(refusal({ must: { ...a, geo_radius: {} } }), /"geo_radius" is not supported/);
    assert.match(refusal({ must: { ...a, foo: 1 } }), /unknown field "foo"/);
    assert.match(refusal({ must: { key: 'a..b', is_null: true } }), /key: .*not a payload key/);
    assert.match(refusal({ must: { key: 1, is_null: true } }), /key: a payload key is a text/);
    assert.match(refusal({ must: { key: '__proto__', is_null: true } }), /__proto__/);
  });
});

describe('other conditions', () => {
  it('takes ids, vectors and nested filters', () => {
    const uuid = '550E8400e29b41d4a716446655440000';
    assert.deepEqual(one({ has_id: [1, 1, 2n ** 63n, uuid] }), {
      kind: 'has-id',
      ids: [1, 2n ** 63n, '550e8400-e29b-41d4-a716-446655440000'],
    });
    assert.deepEqual(one({ has_vector: '' }), { kind: 'has-vector', name: '' });
    const filter = { must: [{ is_null: { key: 'b' } }] };
    for (const key of ['a', 'a[]']) {
      assert.deepEqual(one({ nested: { key, filter } }), {
        kind: 'nested',
        path: ['a', true],
        filter: { ...GROUP, must: [{ kind: 'is-null', path: ['b'] }] },
      });
    }
    assert.match(refusal({ must: { has_id: [-1] } }), /has_id\[0\]: a point id/);
    assert.match(refusal({ must: { has_id: 1 } }), /a list is needed/);
    assert.match(refusal({ must: { nested: { key: 'a' } } }), /filter: a filter is needed/);
    assert.match(refusal({ must: { nested: { filter } } }), /a payload key is a text/);
    assert.match(refusal({ must: { has_vector: 1 } }), /the name of a vector/);
  });
});

describe('bounds', () => {
  const deep = (levels: number): unknown =>
    levels === 1 ? {} : { must: [levels % 2 === 0 ? deep(levels - 1) : inNested(levels - 1)] };
  const inNested = (levels: number) => ({ nested: { key: 'a', filter: deep(levels) } });

  it('holds the depth', () => {
    parseFilter(deep(LIMITS.filterDepthMax), 'filter');
    assert.match(refusal(deep(LIMITS.filterDepthMax + 1)), /at most 16 nested groups/);
  });

  it('holds the number of conditions over all levels', () => {
    const list = (count: number) => Array(count).fill({ is_null: { key: 'a' } });
    const half = LIMITS.filterConditionsMax / 2;
    parseFilter({ must: list(half), should: [{ must: list(half - 1) }] }, 'filter');
    assert.match(
      refusal({ must: list(half), should: [{ must: list(half) }] }),
      /at most 1024 conditions/,
    );
  });
});
