import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, it } from 'node:test';
import { systemClock } from '../../shared/base/clock.ts';
import type { ClientId, CollectionId, ShardId, WorkerId } from '../../shared/base/ids.ts';
import { HNSW_DEFAULTS } from '../../shared/domain/collection.ts';
import type { CollectionRecord, ShardPlacement } from './collections.ts';
import { ControlStore } from './control-store.ts';
import type { ShardFiles } from './resharding.ts';

const ALICE = 'cl_aliceaaaaaaaaaaa' as ClientId;
const W1 = 'wk_aaaaaaaaaaaaaaaa' as WorkerId;
const W2 = 'wk_bbbbbbbbbbbbbbbb' as WorkerId;
const LATER = 1_900_000_000_000;

let folder: string;
let store: ControlStore;

const open = () => ControlStore.open(join(folder, 'control.db'), { clock: systemClock });

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bulkhead-resharding-'));
  store = open();
  store.clients.create({ clientId: ALICE, name: 'c' });
});

afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true, force: true });
});

function newShard(...workers: WorkerId[]): Omit<ShardPlacement, 'ordinal'> {
  const replicas = workers.map((workerId) => {
    return { workerId, state: 'in_sync', syncedVersion: 0 } as const;
  });
  return { shardId: randomUUID() as ShardId, replicas };
}

function createCollection(): CollectionRecord {
  const record = store.collections.create({
    collectionId: randomUUID() as CollectionId,
    clientId: ALICE,
    mode: 'live',
    namespace: 'default',
    name: 'things',
    config: { vector: { dimension: 3, distance: 'Cosine' }, hnsw: HNSW_DEFAULTS },
    payloadIndexes: {},
    replicationFactor: 2,
    writeConsistencyFactor: 1,
    shards: [W1, W2].map((workerId, ordinal) => ({ ...newShard(workerId), ordinal })),
  });
  store.collections.activate(record.collectionId);
  return { ...record, state: 'active' };
}

function filesOf(record: CollectionRecord, shards: readonly ShardPlacement[]): ShardFiles[] {
  const { clientId, mode, namespace, name: collection, generation } = record;
  return shards.map(({ shardId, ordinal }) => {
    return { shardId, place: { clientId, mode, namespace, collection, generation, ordinal } };
  });
}

function reopened(): CollectionRecord | undefined {
  store.close();
  store = open();
  return store.collections.all()[0];
}

it('new shards are beside the others until they take their place', () => {
  const record = createCollection();
  const { collectionId } = record;
  const begun = store.resharding.begin(collectionId, [newShard(W1, W2), newShard(W2)]);
  assert.deepEqual(
    begun.map(({ ordinal }) => ordinal),
    [2, 3],
  );
  assert.equal(store.collections.countResharding(), 1);
  assert.deepEqual(reopened(), { ...record, filling: begun });
  const again = () => store.resharding.begin(collectionId, [newShard(W1)]);
  assert.throws(again, { code: 'conflict' });
  const times = { eraseAt: LATER, keysKnownSince: 7 };
  store.resharding.finish(collectionId, filesOf(record, record.shards), times);
  assert.deepEqual(reopened(), { ...record, shards: begun, keysKnownSince: 7 });
  assert.equal(store.collections.countResharding(), 0);
  const erasures = store.replicas.erasures();
  assert.deepEqual(
    new Set(
      erasures.map(({ workerId, place, notBefore }) => [workerId, place.ordinal, notBefore].join()),
    ),
    new Set([`${W1},0,${LATER}`, `${W2},1,${LATER}`]),
  );
  const next = store.resharding.begin(collectionId, [newShard(W1)]);
  assert.equal(next[0]?.ordinal, 4);
});

it('how far each shard is copied is kept until the new ones are others', () => {
  const record = createCollection();
  const { collectionId } = record;
  const [first, second] = record.shards.map(({ shardId }) => shardId) as [ShardId, ShardId];
  const begun = store.resharding.begin(collectionId, [newShard(W1)]);
  store.resharding.note(first, { since: 7, whole: false });
  store.resharding.note(first, { since: 7, whole: true });
  store.resharding.note(second, { since: 0, whole: false });
  reopened();
  assert.deepEqual(
    store.resharding.copies(collectionId),
    new Map([
      [first, { since: 7, whole: true }],
      [second, { since: 0, whole: false }],
    ]),
  );
  const fresh = store.resharding.renew(collectionId, filesOf(record, begun), [newShard(W2)]);
  assert.equal(fresh[0]?.ordinal, 3);
  assert.deepEqual(reopened()?.filling, fresh);
  assert.deepEqual(store.resharding.copies(collectionId), new Map());
  const erasures = store.replicas.erasures();
  assert.deepEqual(
    erasures.map(({ shardId, notBefore }) => [shardId, notBefore]),
    [[begun[0]?.shardId, 0]],
  );
});

it('nothing is replaced by nothing, and a part of the shards is not all of them', () => {
  const record = createCollection();
  const { collectionId } = record;
  const { resharding } = store;
  const files = filesOf(record, record.shards);
  const times = { eraseAt: LATER, keysKnownSince: 7 };
  assert.throws(() => resharding.finish(collectionId, files, times), /take their place/);
  resharding.begin(collectionId, [newShard(W1)]);
  assert.throws(() => resharding.finish(collectionId, files.slice(1), times), /all of them/);
  assert.deepEqual(reopened()?.shards, record.shards);
  assert.deepEqual(store.replicas.erasures(), []);
});

it('a collection that is being deleted gets no new shards, and takes those it has with it', () => {
  const { collectionId } = createCollection();
  store.resharding.begin(collectionId, [newShard(W1, W2)]);
  store.collections.markDeleting(collectionId);
  assert.equal(store.collections.countResharding(), 0);
  assert.equal(reopened()?.filling.length, 1);
  store.collections.remove(collectionId);
  assert.equal(store.replicas.countByWorker().size, 0);
  const again = () => store.resharding.begin(collectionId, [newShard(W1)]);
  assert.throws(again, { code: 'collection_not_found' });
});
