import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type PointId, parsePointId } from '../../shared/domain/point.ts';
import { shardOfPoint } from '../../shared/domain/shard-of-point.ts';
import { joinParts, splitWrite } from './split-write.ts';
import type { Write } from './write.ts';

const SHARDS = 3;
const IDS: PointId[] = [
  ...Array.from({ length: 20 }, (_, n) => n),
  2n ** 60n,
  parsePointId('936da01f-9abd-4d9d-80c7-02af85c822a8', ''),
];
const PAYLOADS = IDS.map((_id, i) => (i % 3 === 0 ? null : Buffer.from(`{"i":${i}}`)));
/** Two components a point, which say its place. */
const VECTORS = Float32Array.from(IDS.flatMap((_id, i) => [i, -i]));

const idsOf = ({ body }: Write): PointId[] => {
  if ('ids' in body) return body.ids;
  return body.points.kind === 'ids' ? body.points.ids : [];
};

/** Each id is in one part, that of its shard, in the order in which it was given. */
function checkIds(write: Write): void {
  const parts = [...splitWrite(write, SHARDS)];
  assert.ok(parts.length > 1);
  for (const part of parts) {
    const own = IDS.filter((id) => shardOfPoint(id, SHARDS) === part.ordinal);
    assert.deepEqual(idsOf(part.write), own);
    assert.equal(part.write.name, write.name);
  }
  assert.equal(parts.flatMap((part) => idsOf(part.write)).length, IDS.length);
}

test('points to store go to their shards with their vectors and payloads', () => {
  const body = { ids: IDS, names: [''], payloads: PAYLOADS };
  const write: Write = { name: 'points-upsert', body, vectors: VECTORS };
  checkIds(write);
  for (const part of splitWrite(write, SHARDS)) {
    assert.equal(part.write.name, 'points-upsert');
    const { ids, payloads } = part.write.body as typeof body;
    const places = ids.map((id) => IDS.indexOf(id));
    assert.deepEqual(
      payloads,
      places.map((place) => PAYLOADS[place]),
    );
    assert.deepEqual(
      [...(part.write.vectors ?? [])],
      places.flatMap((place) => [place, -place]),
    );
  }
});

test('of several named vectors each part has one section a name', () => {
  const names = ['a', 'b'];
  const vectors = Float32Array.from([...VECTORS, ...VECTORS.map((x) => x + 100)]);
  const write: Write = { name: 'vectors-update', body: { ids: IDS, names }, vectors };
  checkIds(write);
  for (const part of splitWrite(write, SHARDS)) {
    const places = idsOf(part.write).map((id) => IDS.indexOf(id));
    const first = places.flatMap((place) => [place, -place]);
    const second = first.map((x) => x + 100);
    assert.deepEqual([...(part.write.vectors ?? [])], [...first, ...second]);
  }
});

test('deletes and payload changes by ids are split, the change goes with each', () => {
  const points = { kind: 'ids', ids: IDS } as const;
  checkIds({ name: 'points-delete', body: { points: { ...points, ids: [...IDS] } } });
  const change = { kind: 'set', payload: Buffer.from('{"a":1}'), at: ['b'] } as const;
  const body = { points: { ...points, ids: [...IDS] }, change: { ...change, at: [...change.at] } };
  checkIds({ name: 'payload-update', body });
  for (const part of splitWrite({ name: 'payload-update', body }, SHARDS)) {
    assert.deepEqual((part.write.body as typeof body).change, body.change);
  }
});

test('a filter goes to every shard, ids to no shard that has none of them', () => {
  const filter = { must: [], should: [], mustNot: [] };
  const byFilter: Write = { name: 'points-delete', body: { points: { kind: 'filter', filter } } };
  assert.deepEqual(
    [...splitWrite(byFilter, SHARDS)].map(({ ordinal }) => ordinal),
    [0, 1, 2],
  );
  const one: Write = { name: 'points-delete', body: { points: { kind: 'ids', ids: [7] } } };
  assert.deepEqual(
    [...splitWrite(one, SHARDS)],
    [{ ordinal: shardOfPoint(7, SHARDS), write: one }],
  );
});

test('parts of several shards are one write again, with what belongs to their points', () => {
  const body = { ids: IDS, names: [''], payloads: PAYLOADS };
  const write: Write = { name: 'points-upsert', body, vectors: VECTORS };
  const joined = joinParts(write, SHARDS, new Set([0, 2]));
  const own = IDS.filter((id) => shardOfPoint(id, SHARDS) !== 1);
  assert.deepEqual(idsOf(joined), own);
  assert.equal(joined.name, 'points-upsert');
  const places = own.map((id) => IDS.indexOf(id));
  assert.deepEqual(
    [...(joined.vectors ?? [])],
    places.flatMap((i) => [i, -i]),
  );
  const payloads = 'payloads' in joined.body ? joined.body.payloads : [];
  assert.deepEqual(
    payloads,
    places.map((i) => PAYLOADS[i]),
  );
  const filtered: Write = {
    name: 'points-delete',
    body: { points: { kind: 'filter', filter: { must: [], should: [], mustNot: [] } } },
  };
  assert.equal(joinParts(filtered, SHARDS, new Set([1])), filtered);
});
