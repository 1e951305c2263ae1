import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../shared/base/clock.ts';
import { SeededRandom, secureRandom } from '../../shared/base/random.ts';
import { Slices } from '../../shared/base/slices.ts';
import { comparePointIds, type PointId, parsePointId } from '../../shared/domain/point.ts';
import { shardOfPoint } from '../../shared/domain/shard-of-point.ts';
import type { RecordList, ScoredList } from './encode-records.ts';
import { mergeById, mergeHits, mergePages, shareOf } from './merge-replies.ts';

const SHARDS = 5;
const POINTS = 400;

interface Point {
  id: PointId;
  score: number;
  payload: Buffer | null;
  vector: readonly number[];
}

const NO_VECTORS = new Float32Array();
const slices = () => new Slices(systemClock);
const random = new SeededRandom(20_261_302);

/** Integers small and beyond 2^53 and UUIDs; few scores, so that most are shared. */
const points: readonly Point[] = Array.from({ length: POINTS }, (_, n) => {
  const id = random.pick<() => PointId>([
    () => n,
    () => 2n ** 60n + BigInt(n),
    () => parsePointId(secureRandom.uuid(), ''),
  ])();
  const payload = random.next() < 0.2 ? null : Buffer.from(`{"n":${n}}`);
  return { id, score: random.below(12) / 4, payload, vector: [n, n + 0.5] };
});
const byId = points.toSorted((a, b) => comparePointIds(a.id, b.id));
const nearestFirst = (higher: boolean) => {
  return byId.toSorted((a, b) => (higher ? b.score - a.score : a.score - b.score));
};

function listOf(some: readonly Point[]): RecordList {
  const records = {
    ids: some.map(({ id }) => id),
    versions: some.map(({ vector }) => vector[0] ?? 0),
    payloads: some.map(({ payload }) => payload),
    vectors: true,
  };
  return { records, vectors: Float32Array.from(some.flatMap(({ vector }) => vector)) };
}

const scoredOf = (some: readonly Point[]): ScoredList => {
  return { list: listOf(some), scores: some.map(({ score }) => score) };
};

/** What each shard has of them, in their order. */
function spread(some: readonly Point[]): Point[][] {
  const shards = Array.from({ length: SHARDS }, (): Point[] => []);
  for (const point of some) shards[shardOfPoint(point.id, SHARDS)]?.push(point);
  return shards;
}

test('hits of shards are merged as one shard would answer, equal scores by id', async () => {
  for (const higher of [true, false]) {
    const sorted = nearestFirst(higher);
    for (const [offset, limit] of [
      [0, 1],
      [0, 10],
      [7, 20],
      [390, 20],
      [500, 5],
    ] as const) {
      const lists = spread(sorted).map((own) => scoredOf(own.slice(0, offset + limit)));
      const wanted = { offset, limit, asked: offset + limit, higher };
      const { merged, lacking } = await mergeHits(lists, wanted, slices());
      assert.deepEqual(merged, scoredOf(sorted.slice(offset, offset + limit)));
      assert.deepEqual(lacking, []);
    }
  }
});

test('what was not asked for stays absent', async () => {
  const bare = spread(nearestFirst(true)).map((own): ScoredList => {
    const { scores, list } = scoredOf(own);
    const { ids, versions } = list.records;
    return { scores, list: { records: { ids, versions, vectors: false }, vectors: NO_VECTORS } };
  });
  const wanted = { offset: 0, limit: 3, asked: POINTS, higher: true };
  const { list } = (await mergeHits(bare, wanted, slices())).merged;
  assert.deepEqual(Object.keys(list.records).toSorted(), ['ids', 'vectors', 'versions']);
  assert.equal(list.vectors.length, 0);
  assert.deepEqual(
    list.records.ids,
    nearestFirst(true)
      .slice(0, 3)
      .map(({ id }) => id),
  );
});

test('shards without a hit, and none with one', async () => {
  const hit = scoredOf(points.slice(0, 1));
  const empty = scoredOf([]);
  const wanted = { offset: 0, limit: 10, asked: 10, higher: false };
  assert.deepEqual((await mergeHits([empty, hit, empty], wanted, slices())).merged, hit);
  assert.deepEqual((await mergeHits([empty, empty], wanted, slices())).merged, empty);
});

test('pages lead through all points, each once and in order', async () => {
  for (const limit of [1, 7, 100, POINTS, POINTS + 1]) {
    const seen: PointId[] = [];
    let offset: PointId | null = byId[0]?.id ?? null;
    while (offset !== null) {
      const from: PointId = offset;
      const pages = spread(byId).map((own) => {
        const rest = own.filter(({ id }) => comparePointIds(id, from) >= 0);
        return { list: listOf(rest.slice(0, limit)), next: rest[limit]?.id ?? null };
      });
      const { merged, lacking } = await mergePages(pages, limit, slices());
      assert.deepEqual(lacking, []);
      const { list, next } = merged;
      const start = byId.findIndex(({ id }) => id === from);
      assert.deepEqual(list, listOf(byId.slice(start, start + limit)));
      seen.push(...list.records.ids);
      offset = next;
    }
    assert.deepEqual(
      seen,
      byId.map(({ id }) => id),
    );
  }
});

test('a list that ends too early is named, and with more of it the answer is right', async () => {
  const sorted = nearestFirst(true);
  const shards = spread(sorted);
  const limit = 60;
  for (const asked of [1, 2, 8, 12, 20]) {
    const lists = shards.map((own) => scoredOf(own.slice(0, asked)));
    const wanted = { offset: 0, limit, asked, higher: true };
    const { merged, lacking } = await mergeHits(lists, wanted, slices());
    const isRight = merged.list.records.ids.every((id, i) => id === sorted[i]?.id);
    if (lacking.length === 0) assert.ok(isRight && merged.scores.length === limit);
    if (asked === 1) assert.equal(lacking.length, SHARDS);
    for (const list of lacking) lists[list] = scoredOf(shards[list]?.slice(0, limit) ?? []);
    const again = await mergeHits(lists, { ...wanted, asked: limit }, slices());
    assert.deepEqual(again, { merged: scoredOf(sorted.slice(0, limit)), lacking: [] });
  }
});

test('a page of which a shard has given too little is not sure either', async () => {
  const [one, other] = [byId.slice(0, 10), byId.slice(10, 20)];
  const pageOf = (own: readonly Point[], some: number) => {
    return { list: listOf(own.slice(0, some)), next: own[some]?.id ?? null };
  };
  const short = await mergePages([pageOf(one, 4), pageOf(other, 4)], 6, slices());
  assert.deepEqual(short.lacking, [0]);
  const whole = await mergePages([pageOf(one, 6), pageOf(other, 4)], 6, slices());
  assert.deepEqual(whole, {
    merged: { list: listOf(one.slice(0, 6)), next: one[6]?.id },
    lacking: [],
  });
});

test('each shard is asked for its part and some more, a few for all', () => {
  assert.equal(shareOf(10, 2), 10);
  assert.equal(shareOf(10, 64), 6);
  assert.equal(shareOf(1_000, 2), 594);
  assert.equal(shareOf(10_000, 64), 211);
  for (const wanted of [1, 10, 100, 16_384]) assert.equal(shareOf(wanted, 1), wanted);
});

test('points by id come in the order asked for, those that are absent left out', () => {
  const asked = Array.from({ length: 50 }, (_, n) => points[(n * 37) % POINTS]?.id ?? 0);
  const some = points.filter(({ id }) => asked.slice(0, 40).includes(id));
  const expected = asked.flatMap((id) => some.filter((point) => point.id === id));
  assert.deepEqual(mergeById(spread(some).map(listOf), asked), listOf(expected));
});
