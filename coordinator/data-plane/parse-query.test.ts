import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type OldSearchInput, parseOldSearch, parseQuery, type QueryInput } from './parse-query.ts';

const DOT = { dimension: 4, distance: 'Dot' } as const;
const V = [1, 2, 3, 4];
const UUID = '5c56c793-69f3-4fbf-87e6-c4bf54c28c26';

test('a query is a vector, a point or nothing', () => {
  const base64 = Buffer.from(new Float32Array(V).buffer).toString('base64');
  const cases: [QueryInput, object, number[] | undefined][] = [
    [{ query: V }, { kind: 'vector' }, V],
    [{ query: base64 }, { kind: 'vector' }, V],
    [{ query: { nearest: V } }, { kind: 'vector' }, V],
    [{ query: { nearest: { '': V } } }, { kind: 'vector' }, V],
    [{ query: 5 }, { kind: 'point', id: 5 }, undefined],
    [{ query: 2n ** 63n }, { kind: 'point', id: 2n ** 63n }, undefined],
    [{ query: UUID }, { kind: 'point', id: UUID }, undefined],
    [{ query: UUID.replaceAll('-', '').toUpperCase() }, { kind: 'point', id: UUID }, undefined],
    [{ query: { nearest: UUID } }, { kind: 'point', id: UUID }, undefined],
    [{}, { kind: 'none' }, undefined],
    [{ query: null }, { kind: 'none' }, undefined],
  ];
  for (const [input, target, vector] of cases) {
    const parsed = parseQuery(input, DOT);
    assert.deepEqual(parsed.search.target, target);
    assert.deepEqual(parsed.vector === undefined ? undefined : [...parsed.vector], vector);
  }
});

test('what is not said has the defaults of the dialect', () => {
  assert.deepEqual(parseQuery({ query: V }, DOT).search, {
    target: { kind: 'vector' },
    limit: 10,
    offset: 0,
    exact: false,
    payload: { kind: 'none' },
    withVector: false,
  });
  const nulls: QueryInput = {
    query: V,
    using: null,
    filter: null,
    params: null,
    score_threshold: null,
    limit: null,
    offset: null,
    with_payload: null,
    with_vector: null,
  };
  assert.deepEqual(parseQuery(nulls, DOT).search, parseQuery({ query: V }, DOT).search);
});

test('everything that can be said arrives', () => {
  const { search } = parseQuery(
    {
      query: V,
      using: '',
      filter: { must_not: [{ has_id: [1] }] },
      params: { hnsw_ef: 77, exact: true },
      score_threshold: -0.5,
      limit: 3,
      offset: 4,
      with_payload: { exclude: ['a.b', 'c[]'] },
      with_vector: [''],
    },
    DOT,
  );
  assert.deepEqual(search, {
    target: { kind: 'vector' },
    filter: { must: [], should: [], mustNot: [{ kind: 'has-id', ids: [1] }] },
    ef: 77,
    exact: true,
    scoreThreshold: -0.5,
    limit: 3,
    offset: 4,
    payload: {
      kind: 'exclude',
      paths: [
        ['a', 'b'],
        ['c', true],
      ],
    },
    withVector: true,
  });
});

test('the older search takes a vector, also by the empty name', () => {
  const forms: OldSearchInput[] = [
    { vector: V },
    { vector: { name: '', vector: V } },
    { vector: { '': V } },
  ];
  for (const input of forms) assert.deepEqual([...(parseOldSearch(input, DOT).vector ?? [])], V);
});
