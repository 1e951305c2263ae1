import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { VectorConfig } from '../../shared/domain/collection.ts';
import { readCost, searchCost, unitsOf, writeCost } from './cost.ts';
import { parseQuery, type QueryInput } from './parse-query.ts';
import { parseOptionalFilter } from './parse-selectors.ts';

const CONFIG: VectorConfig = { dimension: 4, distance: 'Dot' };
const match = (key: string) => ({ key, match: { value: 'x' } });

function units(...inputs: QueryInput[]): number {
  const query = [1, 2, 3, 4];
  return unitsOf(inputs.map((input) => searchCost(parseQuery({ query, ...input }, CONFIG))));
}

test('a plain search costs one unit, with a page of hits and a small filter, too', () => {
  assert.equal(units({}), 1);
  assert.equal(units({ limit: 50, filter: { must: [match('a'), match('b')] } }), 1);
});

test('what asks for more costs more, and a batch what its searches cost together', () => {
  assert.equal(units({ limit: 1_000 }), 11);
  assert.equal(units({ offset: 990 }), 11);
  assert.equal(units({ params: { hnsw_ef: 64 + 1_280 } }), 11);
  assert.equal(units({ params: { exact: true } }), 17);
  const deep = { must: Array.from({ length: 10 }, () => ({ should: [match('a'), match('b')] })) };
  assert.equal(units({ filter: deep }), 3, '30 conditions, groups counted, and 20 values');
  const any = {
    must: [{ key: 'a', match: { any: Array.from({ length: 2_560 }, (_, i) => `${i}`) } }],
  };
  assert.equal(units({ filter: any }), 11);
  const mmr = { nearest: [1, 2, 3, 4], mmr: { diversity: 0.5, candidates_limit: 256 } };
  assert.equal(units({ query: mmr }), 65);
  assert.equal(units(...Array.from({ length: 100 }, () => ({}))), 110);
});

test('reads cost by the points that they read out, writes by those that they change', () => {
  assert.equal(unitsOf([readCost(10, undefined)]), 1);
  const filter = parseOptionalFilter({ must: Array.from({ length: 64 }, () => match('a')) });
  assert.equal(unitsOf([readCost(10_000, filter)]), 104);
  const ids = Array.from({ length: 1_000 }, (_, i) => i);
  const upsert = { name: 'points-upsert', body: { ids, names: [], payloads: [] } } as const;
  assert.equal(unitsOf([writeCost(upsert as never, 768)]), 3_000);
  const remove = { name: 'points-delete', body: { points: { kind: 'ids', ids } } } as const;
  assert.equal(unitsOf([writeCost(remove as never, 768)]), 62);
});
