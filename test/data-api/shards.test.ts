/** Collections with several shards: what each is asked, and what is made of the answers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { shardOfPoint } from '../../shared/domain/shard-of-point.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { MessageName, Request } from '../../shared/protocol/messages.ts';
import { type Answer, addIndex, type DataRig, startRig } from './data-rig.ts';

const SHARDS = 3;
const VECTORS = { size: 4, distance: 'Dot' };
const POINTS = '/collections/c/points';
const IDS = Array.from({ length: 12 }, (_, n) => n);

async function startSharded(t: Parameters<typeof startRig>[0], shards = SHARDS): Promise<DataRig> {
  const rig = await startRig(t);
  const body = { vectors: VECTORS, shard_number: shards };
  const answer = await rig.call('PUT', '/collections/c', body);
  assert.equal(answer.status, 200, answer.text);
  return rig;
}

async function startFilled(t: Parameters<typeof startRig>[0]): Promise<DataRig> {
  const rig = await startSharded(t);
  const answer = await rig.call('PUT', POINTS, { points: IDS.map(pointOf) });
  assert.equal(answer.status, 200, answer.text);
  rig.worker.sent.length = 0;
  return rig;
}

/** Of three points one has the score of the next. */
const pointOf = (id: number) => ({ id, vector: [Math.floor(id / 3), 1, 0, 0], payload: { id } });
const shardOf = (id: number) => shardOfPoint(id, SHARDS);
const homeOf = (rig: DataRig, ordinal: number) => {
  const shards = [...rig.worker.shards.values()];
  return shards.find(({ descriptor }) => descriptor.place.ordinal === ordinal);
};
const countOf = (rig: DataRig, name: MessageName) => {
  return rig.worker.sent.filter((message) => message.name === name).length;
};
const idsIn = (answer: Answer): number[] => {
  const { result } = answer.json;
  return (result.points ?? result).map(({ id }: { id: number }) => id);
};
/** Fails what is sent to one shard. */
function failAt(rig: DataRig, ordinal: number, error: AppError, message?: MessageName): void {
  rig.worker.interfere = (name) => {
    const shardId = rig.worker.sent.at(-1)?.shardId;
    if (message !== undefined && name !== message) return;
    if (shardId === homeOf(rig, ordinal)?.descriptor.shardId) throw error;
  };
}

test('shards are made together, described together and erased together', async (t) => {
  const rig = await startSharded(t);
  const [record] = rig.store.collections.all();
  assert.deepEqual(
    record?.shards.map(({ ordinal }) => ordinal),
    [0, 1, 2],
  );
  assert.equal(rig.worker.shards.size, SHARDS);
  const { json } = await rig.call('GET', '/collections/c');
  assert.equal(json.result.config.params.shard_number, SHARDS);
  assert.equal(json.result.segments_count, SHARDS);
  await rig.call('PUT', POINTS, { points: IDS.map(pointOf) });
  assert.equal((await rig.call('GET', '/collections/c')).json.result.points_count, IDS.length);
  assert.equal((await addIndex(rig, 'kind')).status, 200);
  for (const { descriptor } of rig.worker.shards.values()) {
    assert.deepEqual(descriptor.payloadIndexes, { kind: 'keyword' });
  }
  assert.equal((await rig.call('DELETE', '/collections/c')).json.result, true);
  assert.equal(rig.worker.shards.size, 0);
  assert.deepEqual(rig.store.collections.all(), []);
});

test('one shard that can not be made undoes all', async (t) => {
  const rig = await startRig(t);
  rig.worker.interfere = (name) => {
    if (name === 'shard-create' && countOf(rig, name) === 2) throw new AppError('overloaded');
  };
  const body = { vectors: VECTORS, shard_number: SHARDS };
  assert.equal((await rig.call('PUT', '/collections/c', body)).json.code, 'overloaded');
  await new Promise((next) => setImmediate(next));
  assert.equal(rig.worker.shards.size, 0);
  assert.deepEqual(rig.store.collections.all(), []);
});

test('the first shards that a change fails at get the old configuration again', async (t) => {
  const rig = await startSharded(t);
  failAt(rig, 2, new AppError('overloaded'), 'shard-configure');
  assert.equal((await addIndex(rig, 'kind')).status, 503);
  assert.deepEqual(homeOf(rig, 0)?.descriptor.payloadIndexes, { kind: 'keyword' });
  assert.equal(rig.store.collections.all()[0]?.configPending, true);
  rig.worker.interfere = () => undefined;
  rig.worker.connect();
  await new Promise((next) => setImmediate(next));
  for (const { descriptor } of rig.worker.shards.values()) {
    assert.deepEqual(descriptor.payloadIndexes, {});
  }
  assert.equal(rig.store.collections.all()[0]?.configPending, false);
});

test('points go to the shards of their ids, and to no other', async (t) => {
  const rig = await startFilled(t);
  for (const ordinal of [0, 1, 2]) {
    const own = IDS.filter((id) => shardOf(id) === ordinal);
    assert.deepEqual([...(homeOf(rig, ordinal)?.points.keys() ?? [])], own);
  }
  const id = 5;
  await rig.call('POST', `${POINTS}/delete`, { points: [id] });
  await rig.call('POST', POINTS, { ids: [id] });
  assert.equal((await rig.call('GET', `${POINTS}/${id}`)).status, 404);
  const asked = rig.worker.sent.map(({ name, shardId }) => [name, shardId]);
  const home = homeOf(rig, shardOf(id))?.descriptor.shardId;
  const read = ['points-retrieve', home];
  assert.deepEqual(asked, [['points-delete', home], read, read]);
});

test('searches, pages and counts are over all shards', async (t) => {
  const rig = await startFilled(t);
  const nearest = [...IDS].sort((a, b) => Math.floor(b / 3) - Math.floor(a / 3) || a - b);
  const query = [1, 0, 0, 0];
  for (const [offset, limit] of [
    [0, 4],
    [3, 5],
    [10, 10],
  ] as const) {
    const answer = await rig.call('POST', `${POINTS}/query`, { query, offset, limit });
    assert.deepEqual(idsIn(answer), nearest.slice(offset, offset + limit));
  }
  const first = await rig.call('POST', `${POINTS}/scroll`, { limit: 5 });
  assert.deepEqual(idsIn(first), IDS.slice(0, 5));
  assert.equal(first.json.result.next_page_offset, 5);
  const last = await rig.call('POST', `${POINTS}/scroll`, { limit: 9, offset: 5 });
  assert.deepEqual(idsIn(last), IDS.slice(5));
  assert.equal(last.json.result.next_page_offset, null);
  assert.equal((await rig.call('POST', `${POINTS}/count`, {})).json.result.count, IDS.length);
  const asked = [7, 0, 99, 11, 3];
  assert.deepEqual(idsIn(await rig.call('POST', POINTS, { ids: asked })), [7, 0, 11, 3]);
  assert.deepEqual(idsIn(await rig.call('POST', POINTS, { ids: [] })), []);
});

test('a shard that has more of the nearest than its share is asked again', async (t) => {
  const rig = await startSharded(t, 64);
  const all = Array.from({ length: 2_000 }, (_, n) => n);
  const own = all.filter((id) => shardOfPoint(id, 64) === 7).slice(0, 20);
  const points = all.slice(0, 200).map(pointOf);
  const near = own.map((id) => ({ id, vector: [1_000 - id, 0, 0, 0] }));
  await rig.call('PUT', POINTS, { points: [...points, ...near] });
  rig.worker.sent.length = 0;
  const body = { query: [1, 0, 0, 0], limit: 15, with_vector: true };
  const answer = await rig.call('POST', `${POINTS}/query`, body);
  assert.deepEqual(idsIn(answer), own.slice(0, 15));
  assert.deepEqual(answer.json.result.points[14].vector, near[14]?.vector);
  assert.equal(countOf(rig, 'points-query'), 65);
  const page = await rig.call('POST', `${POINTS}/scroll`, { limit: 200 });
  assert.deepEqual(idsIn(page), all.slice(0, 200));

  await rig.call('POST', `${POINTS}/delete`, { points: all.slice(0, 200) });
  await rig.call('PUT', POINTS, { points: near });
  rig.worker.sent.length = 0;
  const few = await rig.call('POST', `${POINTS}/scroll`, { limit: 15 });
  assert.deepEqual(idsIn(few), own.slice(0, 15));
  assert.equal(few.json.result.next_page_offset, own[15]);
  assert.equal(countOf(rig, 'points-scroll'), 65);
});

test('a search by id takes its vector from the home of the id', async (t) => {
  const rig = await startFilled(t);
  const searches = [
    { query: 4, limit: 3 },
    { query: [1, 0, 0, 0], limit: 2 },
    { query: 4, limit: 1 },
  ];
  const batch = await rig.call('POST', `${POINTS}/query/batch`, { searches });
  const [byId, byVector, again] = batch.json.result.map(
    ({ points }: { points: { id: number }[] }) => {
      return points.map(({ id }) => id);
    },
  );
  assert.deepEqual(byId, [9, 10, 11]);
  assert.deepEqual(byVector, [9, 10]);
  assert.deepEqual(again, [9]);
  const near = await rig.call('POST', `${POINTS}/query`, { query: 10, limit: 3 });
  assert.deepEqual(idsIn(near), [9, 11, 6], 'without itself');
  assert.equal(countOf(rig, 'points-retrieve'), 2);
  const unknown = await rig.call('POST', `${POINTS}/query`, { query: 99 });
  assert.equal(unknown.status, 404);
  assert.match(unknown.json.status.error, /no point with id 99 in the collection/);
});

test('the candidates of a search are shared out, too', async (t) => {
  const rig = await startFilled(t);
  const query = [1, 0, 0, 0];
  for (const [params, ef] of [
    [{}, 67],
    [{ hnsw_ef: 1_024 }, 401],
    [{ hnsw_ef: 8 }, 8],
    [{ exact: true }, undefined],
  ] as const) {
    rig.worker.sent.length = 0;
    await rig.call('POST', `${POINTS}/query`, { query, params });
    const efs = rig.worker.sent.map(
      ({ body }) => (body as Request<'points-query'>).searches[0]?.ef,
    );
    assert.deepEqual(efs, [ef, ef, ef]);
  }
});

test('one shard that fails fails the whole read, whatever the others say', async (t) => {
  const rig = await startFilled(t);
  failAt(rig, 1, new AppError('unavailable', 'the worker is away'));
  for (const [path, body] of [
    [`${POINTS}/query`, { query: [1, 0, 0, 0] }],
    [`${POINTS}/scroll`, {}],
    [`${POINTS}/count`, {}],
    [POINTS, { ids: IDS }],
  ] as const) {
    const answer = await rig.call('POST', path, body);
    assert.equal(answer.json.code, 'unavailable', path);
    assert.equal(answer.json.status.error, 'the worker is away');
  }
  const elsewhere = IDS.filter((id) => shardOf(id) !== 1);
  assert.deepEqual(idsIn(await rig.call('POST', POINTS, { ids: elsewhere })), elsewhere);
});

test('a write that may be half done says so, one that changed nothing does not', async (t) => {
  const rig = await startFilled(t);
  const points = IDS.map(pointOf);
  failAt(rig, 1, new AppError('overloaded'));
  const half = await rig.call('PUT', POINTS, { points });
  assert.equal(half.json.code, 'overloaded');
  assert.match(half.json.status.error, /; some of the points may have been stored$/);
  const own = points.filter(({ id }) => shardOf(id) === 1);
  const alone = await rig.call('PUT', POINTS, { points: own });
  assert.doesNotMatch(alone.json.status.error, /some of the points/);

  rig.worker.interfere = () => {
    throw new AppError('overloaded');
  };
  const nothing = await rig.call('PUT', POINTS, { points });
  assert.doesNotMatch(nothing.json.status.error, /some of the points/);
  rig.worker.interfere = () => {
    throw new AppError('write_outcome_unknown');
  };
  const unknown = await rig.call('POST', `${POINTS}/delete`, { points: IDS });
  assert.match(unknown.json.status.error, /; some of the points may have been deleted$/);

  rig.worker.interfere = () => undefined;
  const missing = { points: [...IDS, 99].map((id) => ({ id, vector: [9, 9, 9, 9] })) };
  const vectors = await rig.call('PUT', `${POINTS}/vectors`, missing);
  assert.equal(vectors.status, 404);
  assert.match(vectors.json.status.error, /; some of the points may have been changed$/);
});

test("the operation has the highest of the shards' versions", async (t) => {
  const rig = await startFilled(t);
  const id = 0;
  for (let version = 2; version <= 4; version += 1) {
    const { json } = await rig.call('PUT', POINTS, { points: [pointOf(id)] });
    assert.equal(json.result.operation_id, version);
  }
  const { json } = await rig.call('PUT', POINTS, { points: IDS.map(pointOf) });
  assert.equal(json.result.operation_id, 5);
});

test('the quota of points holds over all shards', async (t) => {
  const rig = await startRig(t, { limits: { points: 10 } });
  await rig.call('PUT', '/collections/c', { vectors: VECTORS, shard_number: SHARDS });
  const refused = await rig.call('PUT', POINTS, { points: IDS.map(pointOf) });
  assert.equal(refused.json.code, 'quota_exceeded');
  await rig.call('POST', `${POINTS}/delete`, { points: IDS });
  const some = IDS.slice(0, 10).map(pointOf);
  assert.equal((await rig.call('PUT', POINTS, { points: some })).status, 200);
  assert.equal((await rig.call('PUT', POINTS, { points: some })).status, 200, 'replacing is free');
  const more = await rig.call('PUT', POINTS, { points: [pointOf(11)] });
  assert.equal(more.json.code, 'quota_exceeded');
  assert.equal((await rig.call('POST', `${POINTS}/count`, {})).json.result.count, 10);
});

test('a client has a bounded number of shards, whatever its collections', async (t) => {
  const rig = await startRig(t, { limits: { collections: 10_000 } });
  for (let n = 0; n < 156; n += 1) {
    const body = { vectors: VECTORS, shard_number: 64 };
    assert.equal((await rig.call('PUT', `/collections/c${n}`, body)).status, 200);
  }
  const create = (shard_number: number) => {
    return rig.call('PUT', '/collections/last', { vectors: VECTORS, shard_number });
  };
  const refused = await create(17);
  assert.equal(refused.json.code, 'quota_exceeded');
  assert.match(refused.json.status.error, /at most 10000 shards/);
  assert.equal((await create(16)).status, 200);
});
