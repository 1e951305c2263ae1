/** Where every copy of every shard is, over the admin API. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClientId, CollectionId, ShardId, WorkerId } from '../../shared/base/ids.ts';
import { secureRandom } from '../../shared/base/random.ts';
import { HNSW_DEFAULTS } from '../../shared/domain/collection.ts';
import { AdminRig, type Reply } from './admin-rig.ts';

const W1 = 'wk_aaaaaaaaaaaaaaaa' as WorkerId;
const W2 = 'wk_bbbbbbbbbbbbbbbb' as WorkerId;
const W3 = 'wk_cccccccccccccccc' as WorkerId;

interface Made {
  collectionId: CollectionId;
  shardId: ShardId;
  clientId: ClientId;
}

/** A collection of one shard with a copy at each of these workers. */
function collectionIn(rig: AdminRig, clientId: string, name: string, workers: WorkerId[]): Made {
  const collectionId = secureRandom.uuid() as CollectionId;
  const shardId = secureRandom.uuid() as ShardId;
  const state = 'in_sync' as const;
  rig.store.collections.create({
    collectionId,
    clientId: clientId as ClientId,
    mode: 'live',
    namespace: 'default',
    name,
    config: { vector: { dimension: 4, distance: 'Dot' }, hnsw: HNSW_DEFAULTS },
    payloadIndexes: {},
    replicationFactor: workers.length,
    writeConsistencyFactor: 1,
    shards: [
      {
        shardId,
        ordinal: 0,
        replicas: workers.map((workerId) => ({ workerId, state, syncedVersion: 0 })),
      },
    ],
  });
  return { collectionId, shardId, clientId: clientId as ClientId };
}

async function clientIn(rig: AdminRig): Promise<string> {
  return (await rig.client()).split('/').at(-1) ?? '';
}

async function replicasIn(rig: AdminRig, query = ''): Promise<Reply[]> {
  const { status, reply } = await rig.send('GET', `/replicas${query}`);
  assert.equal(status, 200);
  assert.equal(reply.next, null);
  return reply.replicas as Reply[];
}

test('a copy is shown with its collection and how far it is', async (t) => {
  const rig = await AdminRig.start(t);
  const client = await clientIn(rig);
  const { shardId } = collectionIn(rig, client, 'books', [W1, W2]);
  const at = new Date(rig.clock.now()).toISOString();
  const shown = {
    ...{ client_id: client, mode: 'live', namespace: 'default', collection: 'books' },
    ...{ deleting: false, filling: false, shard_id: shardId, ordinal: 0, since: at },
  };
  const level = { state: 'in_sync', synced_version: null, versions_behind: 0 };
  assert.deepEqual(await replicasIn(rig), [
    { ...shown, worker_id: W1, ...level },
    { ...shown, worker_id: W2, ...level },
  ]);

  rig.clock.advance(60_000);
  const later = new Date(rig.clock.now()).toISOString();
  rig.store.replicas.leave(shardId, [{ workerId: W2, syncedVersion: 7 }]);
  const behind = { ...shown, worker_id: W2, state: 'behind', synced_version: 7, since: later };
  assert.deepEqual(await replicasIn(rig, '?state=behind'), [{ ...behind, versions_behind: null }]);
  rig.fleet.lastVersions.set(shardId, 19);
  assert.deepEqual(await replicasIn(rig), [
    { ...shown, worker_id: W1, ...level, synced_version: 19 },
    { ...behind, versions_behind: 12 },
  ]);
});

test('copies are found by worker, by client and by state, those of deleted collections too', async (t) => {
  const rig = await AdminRig.start(t);
  const [ada, bob] = [await clientIn(rig), await clientIn(rig)];
  const books = collectionIn(rig, ada, 'books', [W1, W2]);
  collectionIn(rig, ada, 'films', [W2]);
  collectionIn(rig, bob, 'books', [W2, W3]);
  rig.store.replicas.leave(books.shardId, [{ workerId: W2, syncedVersion: 1 }]);
  const found = async (query: string) => {
    const rows = await replicasIn(rig, query);
    return rows.map((row) => `${row.client_id === ada ? 'ada' : 'bob'} ${row.collection}`).sort();
  };
  assert.equal((await found('')).length, 5);
  assert.deepEqual(await found(`?worker=${W1}`), ['ada books']);
  assert.deepEqual(await found(`?worker=${W2}`), ['ada books', 'ada films', 'bob books']);
  assert.deepEqual(await found(`?client=${bob}`), ['bob books', 'bob books']);
  assert.deepEqual(await found(`?worker=${W2}&client=${ada}&state=behind`), ['ada books']);
  assert.deepEqual(await found(`?worker=${W3}&client=${ada}`), []);

  rig.store.collections.markDeleting(books.collectionId);
  const left = await replicasIn(rig, `?worker=${W1}`);
  assert.deepEqual(
    left.map(({ collection, deleting }) => [collection, deleting]),
    [['books', true]],
  );
});

test('copies of shards that are to take the place of others are told from the rest', async (t) => {
  const rig = await AdminRig.start(t);
  const { collectionId } = collectionIn(rig, await clientIn(rig), 'books', [W1]);
  const shardId = secureRandom.uuid() as ShardId;
  const replicas = [{ workerId: W2, state: 'in_sync' as const, syncedVersion: 0 }];
  rig.store.collections.activate(collectionId);
  rig.store.resharding.begin(collectionId, [{ shardId, replicas }]);
  const found = await replicasIn(rig);
  assert.deepEqual(found.map((row) => [row.worker_id, row.filling]).sort(), [
    [W1, false],
    [W2, true],
  ]);
});

test('pages hold each copy once, in one order', async (t) => {
  const rig = await AdminRig.start(t);
  const client = await clientIn(rig);
  for (let i = 0; i < 5; i += 1) collectionIn(rig, client, `c${i}`, [W1, W2, W3]);
  const all = await replicasIn(rig);
  assert.equal(all.length, 15);
  const paged: Reply[] = [];
  for (let after = ''; ; ) {
    const { reply } = await rig.send('GET', `/replicas?limit=4${after}`);
    paged.push(...(reply.replicas as Reply[]));
    if (reply.next === null) break;
    after = `&after=${reply.next}`;
  }
  assert.deepEqual(paged, all);
});

test('the status says how many copies lack writes and how many shards nobody can reach', async (t) => {
  const rig = await AdminRig.start(t);
  rig.fleet.counts = { shards: 4, unreachable: 1, replicas: 9, behind: 2 };
  const { reply } = await rig.send('GET', '/status');
  assert.deepEqual([reply.shards, reply.shards_unreachable], [4, 1]);
  assert.deepEqual(reply.replicas, { total: 9, behind: 2 });
});

test('a comparison of copies is asked for, of all shards or of a client, and is on record', async (t) => {
  const rig = await AdminRig.start(t);
  const [ada, bob] = [await clientIn(rig), await clientIn(rig)];
  const several = [
    collectionIn(rig, ada, 'books', [W1, W2]),
    collectionIn(rig, bob, 'books', [W2, W3]),
  ];
  collectionIn(rig, ada, 'films', [W2]);
  const none = { compared: 0, differed: 0, repaired_rows: 0, skipped: 0, failed: 0 };
  const compare = async (body: object) => rig.send('POST', '/replicas/compare', body);
  assert.equal((await rig.send('GET', '/replicas/compare')).reply.waiting, 0);

  assert.deepEqual((await compare({ client_id: bob })).reply, { ...none, waiting: 1 });
  assert.deepEqual((await compare({})).reply, { ...none, waiting: 2 }, 'one copy has no other');
  assert.deepEqual((await rig.send('GET', '/replicas/compare')).reply, { ...none, waiting: 2 });
  assert.equal(rig.fleet.scrub.asked, 2);
  for (const { shardId } of several) rig.store.replicas.noteCompared(shardId);
  assert.equal((await rig.send('GET', '/replicas/compare')).reply.waiting, 0);

  const refused = await compare({ client_id: 'cl_zzzzzzzzzzzzzzzz' });
  assert.equal(refused.status, 400);
  assert.equal((await compare({ worker: W1 })).status, 400);
  const { reply } = await rig.send('GET', '/audit?limit=100');
  const entries = (reply.entries as Reply[]).filter(({ action }) => action === 'replica.compare');
  assert.deepEqual(
    entries.map(({ target, after }) => [target, after]),
    [
      [bob, { shards: 1 }],
      ['replicas', { shards: 2 }],
    ],
  );
});
