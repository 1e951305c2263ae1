import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, it } from 'node:test';
import { systemClock } from '../../shared/base/clock.ts';
import type { ClientId, CollectionId, ShardId, WorkerId } from '../../shared/base/ids.ts';
import { HNSW_DEFAULTS } from '../../shared/domain/collection.ts';
import type { NewCollection } from './collections.ts';
import { ControlStore } from './control-store.ts';

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
      { shardId: randomUUID() as ShardId, ordinal: 0, workerId: W1 },
      { shardId: randomUUID() as ShardId, ordinal: 1, workerId: W2 },
    ],
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
  store.collections.updateConfig(created.collectionId, config);
  store.collections.updatePayloadIndexes(created.collectionId, { 'a.b[]': 'keyword' });
  store.close();
  store = open();
  const payloadIndexes = { 'a.b[]': 'keyword' };
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
    assert.equal(store.collections.create(newCollection(other)).generation, 1);
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

it('does not use up a generation when a create fails', () => {
  const first = newCollection();
  store.collections.create(first);
  // The same shard id again: the shard's insert fails after the generation was raised.
  assert.throws(() => store.collections.create(newCollection({ name: 'b', shards: first.shards })));
  assert.equal(store.collections.create(newCollection({ name: 'b' })).generation, 1);
});

it('does not change what is gone or going', () => {
  const gone = { code: 'collection_not_found' };
  const { collectionId, config } = store.collections.create(newCollection());
  store.collections.activate(collectionId);
  assert.throws(() => store.collections.activate(collectionId), gone);
  store.collections.markDeleting(collectionId);
  assert.throws(() => store.collections.activate(collectionId), gone);
  assert.throws(() => store.collections.updateConfig(collectionId, config), gone);
  assert.throws(() => store.collections.updatePayloadIndexes(collectionId, {}), gone);
  store.collections.remove(collectionId);
  assert.throws(() => store.collections.markDeleting(collectionId), gone);
});

it('counts shards by worker, and forgets them with their collection', () => {
  const first = store.collections.create(newCollection());
  store.collections.create(newCollection({ name: 'b' }));
  assert.deepEqual([...store.shards.countByWorker()].toSorted(), [
    [W1, 2],
    [W2, 2],
  ]);
  store.collections.remove(first.collectionId);
  assert.equal(store.shards.countByWorker().get(W1), 1);
  assert.equal(store.shards.byWorker(W1)[0]?.ordinal, 0);
});
