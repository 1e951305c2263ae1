/** Another number of shards for a collection that is read and written meanwhile. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { shardOfPoint } from '../../shared/domain/shard-of-point.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import type { MessageName } from '../../shared/protocol/messages.ts';
import { addIndex, type DataRig, type RigOptions, startRig } from './data-rig.ts';

const VECTORS = { size: 4, distance: 'Dot' };
const COLLECTION = '/collections/c';
const POINTS = `${COLLECTION}/points`;
const IDS = Array.from({ length: 30 }, (_, n) => n + 1);
const WAIT_MS = 10_000;
const LOOK_MS = 5;

const pointOf = (id: number, kind = 'first') => ({
  id,
  vector: [id, 1, 0, 0],
  payload: { id, kind },
});

async function startFilled(
  t: Parameters<typeof startRig>[0],
  shards: number,
  options: RigOptions = {},
): Promise<DataRig> {
  const rig = await startRig(t, options);
  const body = { vectors: VECTORS, shard_number: shards };
  assert.equal((await rig.call('PUT', COLLECTION, body)).status, 200);
  await mustPut(rig, IDS);
  return rig;
}

async function mustPut(
  rig: DataRig,
  ids: readonly number[],
  kind?: string,
  headers?: Record<string, string>,
): Promise<void> {
  const points = ids.map((id) => pointOf(id, kind));
  const answer = await rig.call('PUT', POINTS, { points }, headers);
  assert.equal(answer.status, 200, answer.text);
}

function reshard(rig: DataRig, shards: unknown) {
  return rig.call('PATCH', COLLECTION, { params: { shard_number: shards } });
}

async function mustReshard(rig: DataRig, shards: number): Promise<void> {
  const answer = await reshard(rig, shards);
  assert.equal(answer.status, 200, answer.text);
}

const recordOf = (rig: DataRig) => rig.store.collections.all()[0];
const eventsOf = (rig: DataRig, event: string) => rig.events.filter((one) => one.event === event);

async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  for (let waitedMs = 0; waitedMs < WAIT_MS; waitedMs += LOOK_MS) {
    if (await isSo()) return;
    await sleep(LOOK_MS);
  }
  assert.fail('it does not come to that');
}

async function finished(rig: DataRig, shards: number): Promise<void> {
  await until(() => {
    const record = recordOf(rig);
    return record?.filling.length === 0 && record.shards.length === shards;
  });
}

/** Every point is in its shard and in no other; all answers are those of one collection. */
async function check(rig: DataRig, ids: readonly number[] = IDS): Promise<void> {
  const shards = recordOf(rig)?.shards ?? [];
  for (const [place, { shardId }] of shards.entries()) {
    const own = ids.filter((id) => shardOfPoint(id, shards.length) === place);
    const held = [...(rig.worker.shards.get(shardId)?.points.keys() ?? [])];
    assert.deepEqual(held.map(Number).toSorted(byNumber), own);
  }
  const { json } = await rig.call('POST', `${POINTS}/scroll`, { limit: 100 });
  assert.deepEqual(
    json.result.points.map(({ id }: { id: number }) => id),
    ids,
  );
}

async function kindOf(rig: DataRig, id: number): Promise<string> {
  return (await rig.call('GET', `${POINTS}/${id}`)).json.result.payload.kind;
}

const byNumber = (a: number, b: number) => a - b;

/** Holds all messages of that name from now on until the returned function is called. */
function hold(rig: DataRig, name: MessageName): { came: Promise<void>; go: () => void } {
  const came = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  rig.worker.interfere = (message) => {
    if (message !== name) return undefined;
    came.resolve();
    return held.promise;
  };
  return { came: came.promise, go: held.resolve };
}

test('a collection gets more shards, and fewer again, with all its points', async (t) => {
  const rig = await startFilled(t, 1);
  await rig.call('POST', `${POINTS}/delete`, { points: [7] });
  const ids = IDS.filter((id) => id !== 7);
  for (const [shards, ordinals] of [
    [3, [1, 2, 3]],
    [2, [4, 5]],
  ] as const) {
    await mustReshard(rig, shards);
    await finished(rig, shards);
    await check(rig, ids);
    assert.deepEqual(
      recordOf(rig)?.shards.map(({ ordinal }) => ordinal),
      ordinals,
    );
    const { json } = await rig.call('GET', COLLECTION);
    assert.equal(json.result.config.params.shard_number, shards);
    assert.equal(json.result.points_count, ids.length);
    assert.equal(json.result.resharding, undefined);
    // A version that was given is not given again, whatever shard gave it.
    await mustPut(rig, [5], `after ${shards}`);
  }
  assert.equal((await rig.call('GET', `${POINTS}/5`)).json.result.payload.kind, 'after 2');
  assert.deepEqual(
    eventsOf(rig, 'resharding_done')
      .map(({ fields }) => fields)
      .map((fields) => {
        const { from, to, points } = fields as Record<string, unknown>;
        return [from, to, points];
      }),
    [
      [1, 3, 29],
      [3, 2, 29],
    ],
  );
  // Reads may still be under way at the old ones.
  assert.equal(rig.store.replicas.erasures().length, 4);
  const { result } = (await rig.call('GET', '/v1/limits')).json;
  assert.equal(result.used.points, ids.length);
});

test('while it goes on it is described, and another change of it is a conflict', async (t) => {
  const rig = await startFilled(t, 2);
  const held = hold(rig, 'changes-apply');
  await mustReshard(rig, 3);
  await held.came;
  const { result } = (await rig.call('GET', COLLECTION)).json;
  assert.equal(result.config.params.shard_number, 3);
  assert.equal(result.segments_count, 2);
  assert.deepEqual(result.resharding, { from: 2, to: 3, points_copied: 0 });
  assert.equal(rig.store.collections.countResharding(), 1);
  const other = await reshard(rig, 4);
  assert.deepEqual([other.status, other.json.code], [409, 'conflict']);
  await mustReshard(rig, 3);
  held.go();
  await finished(rig, 3);
  await mustReshard(rig, 3);
  assert.equal(rig.store.collections.countResharding(), 0);
  await check(rig);
});

test('numbers that no collection may have are refused', async (t) => {
  const rig = await startFilled(t, 1);
  for (const shards of [0, 65, 1.5, '3']) assert.equal((await reshard(rig, shards)).status, 400);
  await mustReshard(rig, 1);
  assert.equal((await reshard(rig, null)).status, 200);
  assert.equal(recordOf(rig)?.filling.length, 0);
});

test('what is written while points are copied is in the new shards', async (t) => {
  const rig = await startFilled(t, 1);
  const held = hold(rig, 'changes-apply');
  await mustReshard(rig, 3);
  await held.came;
  await mustPut(rig, [100, 101, 1], 'second');
  await rig.call('POST', `${POINTS}/delete`, { points: [2, 30] });
  await rig.call('POST', `${POINTS}/payload`, { points: [3], payload: { kind: 'changed' } });
  held.go();
  await finished(rig, 3);
  await check(rig, [...IDS.filter((id) => id !== 2 && id !== 30), 100, 101]);
  const kinds = await Promise.all([1, 3, 4].map((id) => kindOf(rig, id)));
  assert.deepEqual(kinds, ['second', 'changed', 'first']);
  assert.equal(eventsOf(rig, 'resharding_renewed').length, 0);
});

test('writes that wait for the pause are done by the new shards, and nobody notices', async (t) => {
  const rig = await startFilled(t, 2);
  const asked = Promise.withResolvers<void>();
  const held = Promise.withResolvers<void>();
  const old = new Set(recordOf(rig)?.shards.map(({ shardId }) => shardId));
  rig.worker.interfere = (name) => {
    // What is read with the last version comes in the pause.
    const body = rig.worker.sent.at(-1)?.body as { lastVersion?: number };
    if (name !== 'changes-apply' || (body.lastVersion ?? 0) === 0) return undefined;
    asked.resolve();
    return held.promise;
  };
  await mustReshard(rig, 3);
  await asked.promise;
  rig.worker.sent.length = 0;
  const writes = [
    // Of both old shards: a new one gets points of both, and takes them as one write of this key.
    mustPut(rig, [1, 2, 3, 8, 9, 10, 11, 200], 'late', { 'idempotency-key': 'late' }),
    rig.call('POST', `${POINTS}/delete`, { points: [4, 5, 6, 7] }),
    rig.call('POST', `${POINTS}/payload`, { filter: {}, payload: { all: true } }),
  ];
  await sleep(50);
  held.resolve();
  for (const answer of await Promise.all(writes)) assert.equal(answer?.status ?? 200, 200);
  await check(rig, [...IDS.filter((id) => id < 4 || id > 7), 200]);
  const kinds = [1, 2, 3, 8, 9, 10, 11, 200].map((id) => kindOf(rig, id));
  assert.deepEqual(new Set(await Promise.all(kinds)), new Set(['late']));
  const written = rig.worker.sent.filter(({ name }) => /points-|payload-update/.test(name));
  assert.deepEqual(
    written.filter(({ shardId }) => old.has(shardId)),
    [],
  );
});

test('indexes that are made and deleted meanwhile are those of the new shards', async (t) => {
  const rig = await startFilled(t, 1);
  await addIndex(rig, 'old');
  const held = hold(rig, 'range-read');
  await mustReshard(rig, 2);
  await held.came;
  assert.equal((await addIndex(rig, 'kind')).status, 200);
  assert.equal((await rig.call('DELETE', `${COLLECTION}/index/old`)).status, 200);
  const graph = { hnsw_config: { m: 8 } };
  assert.equal((await rig.call('PATCH', COLLECTION, graph)).status, 200);
  for (const { descriptor } of rig.worker.shards.values()) {
    assert.deepEqual(descriptor.payloadIndexes, { kind: 'keyword' });
    assert.equal(descriptor.config.hnsw.m, 8);
  }
  assert.equal(rig.worker.shards.size, 3);
  held.go();
  await finished(rig, 2);
  const [record] = rig.store.collections.all();
  assert.deepEqual(record?.payloadIndexes, { kind: 'keyword' });
  assert.equal(record?.config.hnsw.m, 8);
  await check(rig);
});

test('a collection that is deleted meanwhile is gone, with the shards that were new', async (t) => {
  const rig = await startFilled(t, 2);
  const held = hold(rig, 'changes-apply');
  await mustReshard(rig, 3);
  await held.came;
  assert.equal(rig.worker.shards.size, 5);
  const deleted = rig.call('DELETE', COLLECTION);
  await until(async () => (await rig.call('GET', COLLECTION)).status === 404);
  held.go();
  assert.equal((await deleted).json.result, true);
  await until(() => rig.worker.shards.size === 0 && rig.store.collections.all().length === 0);
  assert.equal(eventsOf(rig, 'resharding_done').length, 0);
  await rig.call('PUT', COLLECTION, { vectors: VECTORS });
  await mustPut(rig, IDS);
  await check(rig);
});

test('new shards that turn out to lack a point are dropped, and others are made', async (t) => {
  const rig = await startFilled(t, 2);
  const old = new Set(rig.worker.shards.keys());
  let losses = 2;
  rig.worker.holdAnswer = () => {
    const last = rig.worker.sent.at(-1);
    const body = last?.body as { lastVersion?: number };
    if (losses === 0 || last?.name !== 'changes-apply' || (body.lastVersion ?? 0) === 0) return;
    losses -= 1;
    const { points } = rig.worker.shards.get(last.shardId) ?? {};
    for (const id of points?.keys() ?? []) {
      points?.delete(id);
      return;
    }
  };
  await mustReshard(rig, 3);
  await finished(rig, 3);
  await check(rig);
  const renewals = eventsOf(rig, 'resharding_renewed').map(({ fields }) => {
    return (fields as { reason: string }).reason;
  });
  assert.ok(renewals.length >= 1 && renewals.every((reason) => reason === 'differs'));
  const ordinals = recordOf(rig)?.shards.map(({ ordinal }) => ordinal);
  assert.deepEqual(
    ordinals,
    [0, 1, 2].map((n) => 2 + 3 * renewals.length + n),
  );
  const erasures = rig.store.replicas.erasures();
  const later = erasures.filter(({ notBefore }) => notBefore > 0).map(({ shardId }) => shardId);
  assert.deepEqual(new Set(later), old);
  assert.equal(erasures.length, old.size + 3 * renewals.length);
});

test('a copy that fails goes on where it was', async (t) => {
  const rig = await startFilled(t, 1);
  const reads = new Map<MessageName, number>();
  rig.worker.interfere = (name) => {
    reads.set(name, (reads.get(name) ?? 0) + 1);
    // In the midst of the first round, and after it: the first changes are read at its end.
    const isInRound = name === 'range-read' && reads.get(name) === 3;
    const isAfter = name === 'changes-read' && reads.get(name) === 2;
    if (isInRound || isAfter) throw new AppError('overloaded');
  };
  await mustReshard(rig, 2);
  await finished(rig, 2);
  await check(rig);
  const failures = eventsOf(rig, 'resharding_failed').map(({ fields }) => {
    return (fields as { attempt: number }).attempt;
  });
  // What was done between the two counts.
  assert.deepEqual(failures, [1, 1]);
});

test('a coordinator that starts goes on, and tells of what was deleted before', async (t) => {
  const rig = await startFilled(t, 1);
  let pages = 0;
  const came = Promise.withResolvers<void>();
  rig.worker.interfere = (name) => {
    if (name !== 'range-read') return;
    pages += 1;
    if (pages <= 4) return;
    came.resolve();
    throw new AppError('unavailable');
  };
  await mustReshard(rig, 3);
  await came.promise;
  // Both were copied before it died.
  assert.equal((await rig.call('POST', `${POINTS}/delete`, { points: [1, 2] })).status, 200);
  for (const plane of rig.state.planes) plane.close();
  rig.worker.interfere = () => undefined;
  rig.openPlane();
  await finished(rig, 3);
  const shards = recordOf(rig)?.shards ?? [];
  const held = shards.flatMap(({ shardId }) => {
    return [...(rig.worker.shards.get(shardId)?.points.keys() ?? [])].map(Number);
  });
  assert.deepEqual(held.toSorted(byNumber), IDS.slice(2));
  assert.equal(eventsOf(rig, 'resharding_renewed').length, 0);
});

test('a write that takes effect once is not done again by the shards that follow one', async (t) => {
  const rig = await startFilled(t, 1);
  const once = { 'idempotency-key': 'once' };
  await mustPut(rig, [1, 2, 3, 4, 5], 'once', once);
  await mustPut(rig, [2, 5], 'newer');
  await mustReshard(rig, 3);
  await finished(rig, 3);
  await mustPut(rig, [1, 2, 3, 4, 5], 'once', once);
  const kinds = await Promise.all([1, 2, 3, 4, 5].map((id) => kindOf(rig, id)));
  assert.deepEqual(kinds, ['once', 'newer', 'once', 'once', 'newer']);
});

test('a write whose key the shards may have forgotten is refused, not done twice', async (t) => {
  const rig = await startFilled(t, 3);
  const once = { 'idempotency-key': 'once' };
  await mustPut(rig, [1, 2, 3, 4, 5], 'once', once);
  await mustPut(rig, [2, 5], 'newer');
  await mustReshard(rig, 2);
  await finished(rig, 2);
  const points = [1, 2, 3, 4, 5].map((id) => pointOf(id, 'once'));
  const { status, text } = await rig.call('PUT', POINTS, { points }, once);
  assert.equal(status, 409);
  assert.match(text, /shard_number .* was changed after the Idempotency-Key was first used/);
  const kinds = await Promise.all([1, 2, 3, 4, 5].map((id) => kindOf(rig, id)));
  assert.deepEqual(kinds, ['once', 'newer', 'once', 'once', 'newer']);

  const later = { 'idempotency-key': 'later' };
  await mustPut(rig, [1, 2], 'later', later);
  await mustPut(rig, [2], 'newest');
  await mustPut(rig, [1, 2], 'later', later);
  assert.deepEqual(await Promise.all([1, 2].map((id) => kindOf(rig, id))), ['later', 'newest']);
});

test('shards count towards the bound while they are filled', async (t) => {
  const rig = await startFilled(t, 1);
  const held = hold(rig, 'changes-apply');
  await mustReshard(rig, 64);
  await held.came;
  assert.equal(rig.worker.shards.size, 65);
  held.go();
  await finished(rig, 64);
  await check(rig);
});
