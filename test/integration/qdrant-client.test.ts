/** The stock client, every call that the data API has, against the real processes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { QdrantClient } from '@qdrant/js-client-rest';
import { startService } from '../harness/service.ts';

const UUID = '5c56c793-69f3-4fbf-87e6-c4bf54c28c26';
const NAME = 'articles';

const POINTS = [
  { id: 1, vector: [1, 0, 0, 0], payload: { city: 'Berlin', price: 10, tags: ['a', 'b'] } },
  { id: 2, vector: [0.9, 0.1, 0, 0], payload: { city: 'Berlin', price: 20, tags: ['b'] } },
  { id: 3, vector: [0, 1, 0, 0], payload: { city: 'Oslo', price: 30, at: '2024-05-01T00:00:00Z' } },
  { id: UUID, vector: [0, 0, 1, 0], payload: { city: null, deep: { list: [{ n: 1 }, { n: 2 }] } } },
];

const berlin = { must: [{ key: 'city', match: { value: 'Berlin' } }] };

test('a stock client does everything with its collection', async (t) => {
  const service = await startService(t);
  const client = service.client();
  await collections(t, client);
  await writesAndReads(t, client);
  await searches(t, client);
  await filters(t, client);
  await payloads(t, client);
  await deletions(t, client);
});

test('a stock client makes a collection of several shards and uses it as any other', async (t) => {
  const service = await startService(t);
  const client = service.client();
  const vectors = { size: 4, distance: 'Cosine' } as const;
  assert.equal(await client.createCollection(NAME, { vectors, shard_number: 3 }), true);
  await assert.rejects(client.createCollection('more', { vectors, shard_number: 65 }), {
    status: 400,
  });
  await client.upsert(NAME, { wait: true, points: POINTS });
  const info = await client.getCollection(NAME);
  assert.equal(info.config.params.shard_number, 3);
  assert.equal(info.points_count, POINTS.length);
  assert.equal(info.status, 'green');
  const { points } = await client.query(NAME, { query: [1, 0, 0, 0], limit: 4 });
  assert.deepEqual(
    points.map(({ id }) => id),
    [1, 2, 3, UUID],
  );
  const page = await client.scroll(NAME, { limit: 4 });
  assert.deepEqual(
    page.points.map(({ payload }) => payload),
    POINTS.map(({ payload }) => payload),
  );
  await client.delete(NAME, { wait: true, filter: berlin });
  assert.equal((await client.count(NAME)).count, 2);
});

type Steps = { test(name: string, step: () => Promise<void>): Promise<void> };

async function collections(t: Steps, client: QdrantClient): Promise<void> {
  await t.test('collections: create, exists, describe, update, list', async () => {
    assert.ok((await client.versionInfo()).version);
    assert.deepEqual(await client.collectionExists(NAME), { exists: false });
    const vectors = { size: 4, distance: 'Cosine' } as const;
    assert.equal(await client.createCollection(NAME, { vectors }), true);
    await assert.rejects(client.createCollection(NAME, { vectors }), (error: unknown) => {
      const { status, data } = error as { status: number; data: { status: { error: string } } };
      return status === 409 && /already exists/.test(data.status.error);
    });
    assert.deepEqual(await client.collectionExists(NAME), { exists: true });
    assert.deepEqual((await client.getCollections()).collections, [{ name: NAME }]);
    const info = await client.getCollection(NAME);
    assert.equal(info.status, 'green');
    assert.equal(info.points_count, 0);
    assert.deepEqual(info.config.params.vectors, { size: 4, distance: 'Cosine' });
    assert.equal(await client.updateCollection(NAME, { hnsw_config: { ef_construct: 200 } }), true);
    assert.deepEqual((await client.getAliases()).aliases, []);
    await assert.rejects(client.getCollection('absent'), { status: 404 });
    for (const [field, schema] of [
      ['city', 'keyword'],
      ['price', 'integer'],
    ] as const) {
      const done = await client.createPayloadIndex(NAME, {
        ...{ field_name: field, field_schema: schema, wait: true },
      });
      assert.equal(done.status, 'completed');
    }
  });
}

async function writesAndReads(t: Steps, client: QdrantClient): Promise<void> {
  await t.test('points: upsert in both forms, retrieve, count, scroll', async () => {
    const done = await client.upsert(NAME, { wait: true, points: POINTS.slice(0, 2) });
    assert.equal(done.status, 'completed');
    const rest = POINTS.slice(2);
    await client.upsert(NAME, {
      wait: true,
      batch: {
        ids: rest.map(({ id }) => id),
        vectors: rest.map(({ vector }) => vector),
        payloads: rest.map(({ payload }) => payload),
      },
    });
    const [found, absent] = [
      await client.retrieve(NAME, { ids: [2, UUID], with_vector: true }),
      99,
    ];
    assert.deepEqual(found.map(({ id }) => id).toSorted(), [2, UUID]);
    const uuid = found.find(({ id }) => id === UUID);
    assert.deepEqual(uuid?.payload, POINTS[3]?.payload);
    assert.deepEqual(uuid?.vector, [0, 0, 1, 0]);
    assert.deepEqual(await client.retrieve(NAME, { ids: [absent] }), []);
    assert.equal((await client.count(NAME, { exact: true })).count, 4);
    assert.equal((await client.count(NAME, { filter: berlin })).count, 2);
    const first = await client.scroll(NAME, { limit: 3 });
    assert.deepEqual(
      first.points.map(({ id }) => id),
      [1, 2, 3],
    );
    const offset = first.next_page_offset;
    assert.equal(offset, UUID);
    const last = await client.scroll(NAME, { limit: 3, offset: String(offset) });
    assert.deepEqual([last.points.length, last.next_page_offset], [1, null]);
    const replaced = { id: 3, vector: [0, 2, 0, 0], payload: POINTS[2]?.payload ?? null };
    await client.upsert(NAME, { wait: true, points: [replaced] });
    assert.equal((await client.count(NAME)).count, 4, 'the same id is replaced');
  });
}

async function searches(t: Steps, client: QdrantClient): Promise<void> {
  const idsOf = ({ points }: { points: { id: unknown }[] }): unknown[] => points.map((p) => p.id);
  await t.test('query: by vector, by id, threshold, paging, payload and vector forms', async () => {
    const all = await client.query(NAME, { query: [1, 0, 0, 0], limit: 10 });
    assert.deepEqual(idsOf(all).slice(0, 2), [1, 2]);
    assert.ok(Math.abs(Number(all.points[0]?.score) - 1) < 1e-6);
    assert.equal(all.points[0]?.payload, undefined);
    assert.deepEqual(idsOf(await client.query(NAME, { query: 1, limit: 1 })), [2], 'not itself');
    const near = await client.query(NAME, { query: [1, 0, 0, 0], score_threshold: 0.5 });
    assert.deepEqual(idsOf(near), [1, 2]);
    const second = await client.query(NAME, { query: [1, 0, 0, 0], limit: 1, offset: 1 });
    assert.deepEqual(idsOf(second), [2]);
    const params = { exact: true };
    const exact = await client.query(NAME, { query: [0, 1, 0, 0], limit: 1, params });
    assert.deepEqual(idsOf(exact), [3]);
    const part = { limit: 1, with_payload: ['city'], with_vector: true };
    const [hit] = (await client.query(NAME, { query: [1, 0, 0, 0], ...part })).points;
    assert.deepEqual([hit?.payload, hit?.vector], [{ city: 'Berlin' }, [1, 0, 0, 0]]);
    const without = { limit: 1, with_payload: { exclude: ['tags', 'price'] } };
    const [other] = (await client.query(NAME, { query: [1, 0, 0, 0], ...without })).points;
    assert.deepEqual(other?.payload, { city: 'Berlin' });
    const both = await client.queryBatch(NAME, {
      searches: [
        { query: [1, 0, 0, 0], limit: 1 },
        { query: [0, 0, 1, 0], limit: 1 },
      ],
    });
    assert.deepEqual(both.map(idsOf), [[1], [UUID]]);
  });
}

async function filters(t: Steps, client: QdrantClient): Promise<void> {
  const idsWhere = async (filter: object): Promise<unknown[]> => {
    const { points } = await client.query(NAME, { query: [1, 1, 1, 0], filter, limit: 10 });
    const page = await client.scroll(NAME, { filter, limit: 10 });
    const ids = page.points.map(({ id }) => id);
    assert.deepEqual(new Set(points.map(({ id }) => id)), new Set(ids), 'query and scroll agree');
    return ids;
  };
  const cases: [string, object, unknown[]][] = [
    ['match value', berlin, [1, 2]],
    ['must_not', { must_not: [berlin] }, [3, UUID]],
    ['any', { must: [{ key: 'city', match: { any: ['Oslo', 'Rome'] } }] }, [3]],
    ['except', { must: [{ key: 'city', match: { except: ['Berlin'] } }] }, [3]],
    ['text', { must: [{ key: 'city', match: { text: 'Oslo' } }] }, [3]],
    ['range', { must: [{ key: 'price', range: { gt: 10, lte: 30 } }] }, [2, 3]],
    ['date', { must: [{ key: 'at', range: { gte: '2024-01-01T00:00:00Z' } }] }, [3]],
    ['in a list', { must: [{ key: 'tags', match: { value: 'b' } }] }, [1, 2]],
    ['deep path', { must: [{ key: 'deep.list[].n', match: { value: 2 } }] }, [UUID]],
    ['is_null', { must: [{ is_null: { key: 'city' } }] }, [UUID]],
    ['is_empty', { must: [{ is_empty: { key: 'tags' } }] }, [3, UUID]],
    ['has_id', { must: [{ has_id: [1, UUID, 77] }] }, [1, UUID]],
    ['values_count', { must: [{ key: 'tags', values_count: { gte: 2 } }] }, [1]],
    ['should', { should: [{ has_id: [1] }, { key: 'city', match: { value: 'Oslo' } }] }, [1, 3]],
    [
      'min_should',
      { min_should: { conditions: [...berlin.must, { has_id: [2, 3] }], min_count: 2 } },
      [2],
    ],
    ['groups', { must: [{ should: [{ has_id: [2] }, { has_id: [3] }] }, berlin] }, [2]],
  ];
  await t.test('filters: each kind finds what it says', async () => {
    for (const [name, filter, ids] of cases) assert.deepEqual(await idsWhere(filter), ids, name);
  });
}

async function payloads(t: Steps, client: QdrantClient): Promise<void> {
  const payloadOf = async (id: number): Promise<unknown> => {
    return (await client.retrieve(NAME, { ids: [id] }))[0]?.payload;
  };
  await t.test('payload: set, overwrite, delete keys, clear; vectors: replace', async () => {
    const done = await client.setPayload(NAME, { wait: true, payload: { new: 1 }, points: [1] });
    assert.equal(done.status, 'completed');
    assert.deepEqual(await payloadOf(1), { ...POINTS[0]?.payload, new: 1 });
    await client.setPayload(NAME, { wait: true, payload: { seen: true }, filter: berlin });
    assert.deepEqual(await payloadOf(2), { ...POINTS[1]?.payload, seen: true });
    await client.overwritePayload(NAME, { wait: true, payload: { only: 'this' }, points: [2] });
    assert.deepEqual(await payloadOf(2), { only: 'this' });
    await client.deletePayload(NAME, { wait: true, keys: ['new', 'seen'], points: [1] });
    assert.deepEqual(await payloadOf(1), POINTS[0]?.payload);
    await client.clearPayload(NAME, { wait: true, points: [2] });
    assert.deepEqual((await payloadOf(2)) ?? {}, {});
    const moved = [{ id: 2, vector: [0, 0, 0, 1] }];
    await client.updateVectors(NAME, { wait: true, points: moved });
    const { points } = await client.query(NAME, { query: [0, 0, 0, 1], limit: 1 });
    assert.equal(points[0]?.id, 2);
    await client.batchUpdate(NAME, {
      operations: [
        { upsert: { points: [{ id: 10, vector: [1, 1, 1, 1] }] } },
        { set_payload: { payload: { batch: true }, points: [10] } },
      ],
    });
    assert.deepEqual(await payloadOf(10), { batch: true });
  });
}

async function deletions(t: Steps, client: QdrantClient): Promise<void> {
  await t.test('delete: by id, by filter, an index, the collection', async () => {
    await client.delete(NAME, { wait: true, points: [10, UUID] });
    await client.delete(NAME, { wait: true, filter: berlin });
    const { points } = await client.scroll(NAME, { limit: 10 });
    assert.deepEqual(
      points.map(({ id }) => id),
      [2, 3],
    );
    const { points: hits } = await client.query(NAME, { query: [1, 0, 0, 0], limit: 10 });
    assert.deepEqual(hits.map(({ id }) => id).toSorted(), [2, 3]);
    assert.deepEqual(Object.keys((await client.getCollection(NAME)).payload_schema), [
      ...['city', 'price'],
    ]);
    await client.deletePayloadIndex(NAME, 'city', { wait: true });
    assert.deepEqual(Object.keys((await client.getCollection(NAME)).payload_schema), ['price']);
    assert.equal(await client.deleteCollection(NAME), true);
    assert.deepEqual((await client.getCollections()).collections, []);
    await assert.rejects(client.count(NAME), { status: 404 });
    const vectors = { size: 2, distance: 'Euclid' } as const;
    await client.createCollection(NAME, { vectors });
    assert.equal((await client.count(NAME)).count, 0, 'a new one of this name starts empty');
  });
}

test('every distance scores as the dialect says', async (t) => {
  const client = (await startService(t)).client();
  const scores = { Cosine: 0.6, Dot: 6, Euclid: Math.sqrt(17), Manhattan: 5 };
  for (const [distance, score] of Object.entries(scores)) {
    const vectors = { size: 2, distance: distance as keyof typeof scores };
    await client.createCollection(distance, { vectors });
    await client.upsert(distance, { wait: true, points: [{ id: 1, vector: [3, 4] }] });
    const { points } = await client.query(distance, { query: [2, 0], limit: 1 });
    assert.ok(Math.abs(Number(points[0]?.score) - score) < 1e-5, `${distance} ${points[0]?.score}`);
  }
});
