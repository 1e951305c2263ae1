import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, it } from 'node:test';
import Database from 'better-sqlite3';
import { systemClock } from '../../shared/base/clock.ts';
import type { ClientId, CollectionId, ShardId, WorkerId } from '../../shared/base/ids.ts';
import { HNSW_DEFAULTS } from '../../shared/domain/collection.ts';
import type { NewCollection } from './collections.ts';
import { ControlStore } from './control-store.ts';
import type { ReplicaPlacement } from './replicas.ts';

const ALICE = 'cl_aliceaaaaaaaaaaa' as ClientId;
const BOB = 'cl_bobbbbbbbbbbbbbb' as ClientId;
const W1 = 'wk_aaaaaaaaaaaaaaaa' as WorkerId;
const W2 = 'wk_bbbbbbbbbbbbbbbb' as WorkerId;

let folder: string;
let store: ControlStore;

const open = () => ControlStore.open(join(folder, 'control.db'), { clock: systemClock });

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bulkhead-collections-'));
  store = open();
  for (const clientId of [ALICE, BOB]) store.clients.create({ clientId, name: 'c' });
});

afterEach(() => {
  store.close();
  rmSync(folder, { recursive: true, force: true });
});

function replicaAt(workerId: WorkerId): ReplicaPlacement {
  return { workerId, state: 'in_sync', syncedVersion: 0 };
}

function newCollection(changes: Partial<NewCollection> = {}): NewCollection {
  return {
    collectionId: randomUUID() as CollectionId,
    clientId: ALICE,
    mode: 'live',
    namespace: 'default',
    name: 'things',
    config: { vector: { dimension: 3, distance: 'Cosine' }, hnsw: HNSW_DEFAULTS },
    payloadIndexes: {},
    shards: [
      { shardId: randomUUID() as ShardId, ordinal: 0, replicas: [replicaAt(W1), replicaAt(W2)] },
      { shardId: randomUUID() as ShardId, ordinal: 1, replicas: [replicaAt(W2)] },
    ],
    replicationFactor: 2,
    writeConsistencyFactor: 1,
    ...changes,
  };
}

it('returns the same record from create and, after a restart, from all', () => {
  const created = store.collections.create(newCollection());
  assert.equal(created.state, 'creating');
  assert.equal(created.generation, 1);
  assert.deepEqual(store.collections.all(), [created]);
  store.collections.activate(created.collectionId);
  const config = { ...created.config, hnsw: { m: 32, efConstruct: 200 } };
  const payloadIndexes = { 'a.b[]': 'keyword' } as const;
  store.collections.finishChange(created.collectionId, { config, payloadIndexes });
  store.close();
  store = open();
  assert.deepEqual(store.collections.all(), [
    { ...created, state: 'active', config, payloadIndexes },
  ]);
  assert.equal(store.collections.count(), 1);
});

it('refuses a taken name, whatever its state, and stores nothing then', () => {
  const first = store.collections.create(newCollection());
  const again = () => store.collections.create(newCollection());
  assert.throws(again, { code: 'already_exists', message: /already exists/ });
  store.collections.activate(first.collectionId);
  assert.throws(again, { code: 'already_exists' });
  assert.equal(store.collections.all().length, 1);
});

it('keeps a name apart by client, mode and namespace', () => {
  store.collections.create(newCollection());
  const others: Partial<NewCollection>[] = [
    { clientId: BOB },
    { mode: 'test' },
    { namespace: 'other' },
    { name: 'Things' },
  ];
  for (const other of others) {
    assert.equal(store.collections.create(newCollection(other)).state, 'creating');
  }
});

it('gives the next generation, beside a deleting one and after it is gone', () => {
  const first = store.collections.create(newCollection());
  store.collections.markDeleting(first.collectionId);
  store.collections.markDeleting(first.collectionId);
  const second = store.collections.create(newCollection());
  assert.equal(second.generation, 2);
  store.collections.remove(first.collectionId);
  store.collections.remove(first.collectionId);
  store.collections.remove(second.collectionId);
  assert.deepEqual(store.collections.all(), []);
  assert.equal(store.collections.create(newCollection()).generation, 3);
});

it('counts generations for each client, mode and namespace, whatever the names', () => {
  const generation = (changes: Partial<NewCollection>) =>
    store.collections.create(newCollection(changes)).generation;
  assert.deepEqual(
    [1, 2, 3].map((n) => generation({ name: `n${n}` })),
    [1, 2, 3],
  );
  for (const other of [{ clientId: BOB }, { mode: 'test' }, { namespace: 'other' }] as const) {
    assert.equal(generation(other), 1);
  }
  for (const { collectionId } of store.collections.all()) store.collections.remove(collectionId);
  assert.equal(generation({ name: 'n1' }), 4);
});

it('leaves nothing of a name behind when its collection is gone', () => {
  const rows = () => {
    const database = new Database(join(folder, 'control.db'), { readonly: true });
    const tables = database
      .prepare<[], string>(`SELECT name FROM sqlite_schema WHERE type = 'table'`)
      .pluck()
      .all();
    const counts = tables.map((table) =>
      database.prepare<[], number>(`SELECT count(*) FROM ${table}`).pluck().get(),
    );
    database.close();
    return counts;
  };
  const once = (name: string) => {
    const { collectionId } = store.collections.create(newCollection({ name }));
    store.collections.markDeleting(collectionId);
    store.collections.remove(collectionId);
  };
  once('first');
  store.close();
  const before = rows();
  store = open();
  for (let i = 0; i < 20; i += 1) once(`random-${i}`);
  store.close();
  assert.deepEqual(rows(), before);
  store = open();
});

it('remembers a change that was begun until it is finished or settled', () => {
  const { collectionId, config } = store.collections.create(newCollection());
  const pending = () => store.collections.all()[0]?.configPending;
  assert.throws(() => store.collections.beginChange(collectionId), {
    code: 'collection_not_found',
  });
  store.collections.activate(collectionId);
  assert.equal(pending(), false);
  store.collections.beginChange(collectionId);
  store.close();
  store = open();
  assert.equal(pending(), true);
  store.collections.settleChange(collectionId);
  assert.equal(pending(), false);
  store.collections.beginChange(collectionId);
  store.collections.finishChange(collectionId, { config, payloadIndexes: {} });
  assert.equal(pending(), false);
});

it('does not use up a generation when a create fails', () => {
  const first = newCollection();
  store.collections.create(first);
  // The same shard id again: the shard's insert fails after the generation was raised.
  assert.throws(() => store.collections.create(newCollection({ name: 'b', shards: first.shards })));
  assert.equal(store.collections.create(newCollection({ name: 'b' })).generation, 2);
});

it('does not change what is gone or going', () => {
  const gone = { code: 'collection_not_found' };
  const { collectionId, config } = store.collections.create(newCollection());
  store.collections.activate(collectionId);
  assert.throws(() => store.collections.activate(collectionId), gone);
  store.collections.markDeleting(collectionId);
  assert.throws(() => store.collections.activate(collectionId), gone);
  assert.throws(() => store.collections.beginChange(collectionId), gone);
  const change = { config, payloadIndexes: {} };
  assert.throws(() => store.collections.finishChange(collectionId, change), gone);
  store.collections.remove(collectionId);
  assert.throws(() => store.collections.markDeleting(collectionId), gone);
});

it('counts replicas by worker, and forgets them with their collection', () => {
  const first = store.collections.create(newCollection());
  store.collections.create(newCollection({ name: 'b' }));
  assert.deepEqual([...store.replicas.countByWorker()].toSorted(), [
    [W1, 2],
    [W2, 4],
  ]);
  store.collections.remove(first.collectionId);
  assert.equal(store.replicas.countByWorker().get(W1), 1);
});

it('keeps what replicas are, and never lets the last one in sync go', () => {
  const [{ shardId } = { shardId: '' as ShardId }] = newShards();
  const stateOf = () => replicasOf(shardId).map(({ workerId, ...rest }) => rest);
  store.replicas.leave(shardId, [{ workerId: W1, syncedVersion: 7 }]);
  store.close();
  store = open();
  assert.deepEqual(stateOf(), [
    { state: 'behind', syncedVersion: 7 },
    { state: 'in_sync', syncedVersion: 0 },
  ]);
  const last = [{ workerId: W2, syncedVersion: 9 }];
  assert.throws(() => store.replicas.leave(shardId, last), /keeps a replica/);
  store.replicas.progress(shardId, W1, 8);
  assert.equal(stateOf()[0]?.syncedVersion, 8);
  store.replicas.join(shardId, W1);
  store.close();
  store = open();
  assert.deepEqual(stateOf()[0], { state: 'in_sync', syncedVersion: 0 });
});

it('keeps what is to be erased at a worker until that has said so', () => {
  const [{ shardId } = { shardId: '' as ShardId }] = newShards();
  const place = {
    clientId: ALICE,
    mode: 'live',
    namespace: 'default',
    collection: 'things',
    generation: 1,
    ordinal: 0,
  } as const;
  store.replicas.remove({ shardId, workerId: W1, place });
  store.close();
  store = open();
  assert.deepEqual(
    replicasOf(shardId).map(({ workerId }) => workerId),
    [W2],
  );
  const left = [{ shardId, workerId: W1, place, notBefore: 0 }];
  assert.deepEqual(store.replicas.erasures(), left);
  store.replicas.erased(shardId, W1);
  assert.deepEqual(store.replicas.erasures(), []);
  assert.throws(() => store.replicas.remove({ shardId, workerId: W2, place }), /keeps a replica/);
});

function newShards() {
  return store.collections.create(newCollection()).shards;
}

function replicasOf(shardId: ShardId): ReplicaPlacement[] {
  const shards = store.collections.all().flatMap((record) => record.shards);
  return shards.find((shard) => shard.shardId === shardId)?.replicas ?? [];
}
