import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  HNSW_DEFAULTS,
  type HnswConfig,
  type VectorConfig,
} from '../../shared/domain/collection.ts';
import {
  changeCost,
  lateCost,
  readCost,
  searchCost,
  unitsOf,
  workCost,
  writeCost,
} from './cost.ts';
import { parseQuery, type QueryInput } from './parse-query.ts';
import { parseOptionalFilter } from './parse-selectors.ts';

const CONFIG: VectorConfig = { dimension: 4, distance: 'Dot' };
const match = (key: string) => ({ key, match: { value: 'x' } });

function units(...inputs: QueryInput[]): number {
  const query = [1, 2, 3, 4];
  return unitsOf(inputs.map((input) => searchCost(parseQuery({ query, ...input }, CONFIG))));
}

test('a plain search costs one unit, with a page of hits, too, and one more with a small filter', () => {
  assert.equal(units({}), 1);
  assert.equal(units({ limit: 50 }), 1);
  assert.equal(units({ limit: 50, filter: { must: [match('a'), match('b')] } }), 2);
});

test('what asks for more costs more, and a batch what its searches cost together', () => {
  assert.equal(units({ limit: 1_000 }), 11);
  assert.equal(units({ offset: 990 }), 11);
  assert.equal(units({ params: { hnsw_ef: 64 + 1_280 } }), 11);
  assert.equal(units({ params: { exact: true } }), 17);
  const deep = { must: Array.from({ length: 10 }, () => ({ should: [match('a'), match('b')] })) };
  assert.equal(units({ filter: deep }), 4, '30 conditions, groups counted, and 20 values');
  const any = {
    must: [{ key: 'a', match: { any: Array.from({ length: 2_560 }, (_, i) => `${i}`) } }],
  };
  assert.equal(units({ filter: any }), 12);
  const mmr = { nearest: [1, 2, 3, 4], mmr: { diversity: 0.5, candidates_limit: 256 } };
  assert.equal(units({ query: mmr }), 65);
  assert.equal(units(...Array.from({ length: 100 }, () => ({}))), 110);
});

test('reads cost by the points that they read out, writes by those that they change', () => {
  assert.equal(unitsOf([readCost(10, undefined)]), 1);
  const filter = parseOptionalFilter({ must: Array.from({ length: 64 }, () => match('a')) });
  assert.equal(unitsOf([readCost(10_000, filter)]), 106);
  const ids = Array.from({ length: 1_000 }, (_, i) => i);
  const upsert = { name: 'points-upsert', body: { ids, names: [], payloads: [] } } as never;
  const costOf = (dimension: number, hnsw: Partial<HnswConfig> = {}) => {
    const vector = { dimension, distance: 'Dot' } as const;
    return unitsOf([writeCost(upsert, { vector, hnsw: { ...HNSW_DEFAULTS, ...hnsw } })]);
  };
  assert.deepEqual([costOf(4), costOf(256), costOf(768)], [507, 1_000, 2_000]);
  assert.equal(costOf(256, { efConstruct: 2_000 }), 9_100);
  assert.equal(costOf(256, { efConstruct: 2_000, m: 96 }), 36_100);
  assert.equal(costOf(256, { m: 0 }), 100);
  const config = { vector: CONFIG, hnsw: HNSW_DEFAULTS };
  const remove = { name: 'points-delete', body: { points: { kind: 'ids', ids } } } as never;
  assert.equal(unitsOf([writeCost(remove, config)]), 62);
});

test('a change of configuration costs by the points that are linked or indexed anew', () => {
  const config = { vector: CONFIG, hnsw: HNSW_DEFAULTS };
  const before = { config, payloadIndexes: {} };
  const points = 100_000;
  assert.equal(changeCost(before, before, points), 16);
  assert.equal(changeCost(before, { ...before, payloadIndexes: { a: 'keyword' } }, points), 3_141);
  const linked = { ...before, config: { ...config, hnsw: { m: 96, efConstruct: 2_000 } } };
  assert.ok(changeCost(before, linked, points) > 1_000_000);
});

test('what a filter looked at is charged by rows, what did not end in time by milliseconds', () => {
  assert.equal(workCost({ examined: 8_000, changed: 160 }), 110);
  assert.equal(lateCost(1_000), 1_000);
  const exact = parseQuery({ query: [1, 2, 3, 4], params: { exact: true } }, CONFIG);
  assert.equal(unitsOf([searchCost(exact, 20_000_000)]), 101);
});
