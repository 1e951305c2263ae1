/** Copies in the words of the dialect: each state, each peer, and what nobody may learn. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../shared/base/clock.ts';
import { Deadline } from '../../shared/base/deadline.ts';
import type { ClientId, ShardId, WorkerId } from '../../shared/base/ids.ts';
import type { ReplicaState } from '../store/replicas.ts';
import type { Owner } from './catalog.ts';
import { ClusterInfo } from './cluster-info.ts';

const W1 = 'wk_aaaaaaaaaaaaaaaa' as WorkerId;
const W2 = 'wk_bbbbbbbbbbbbbbbb' as WorkerId;
const W3 = 'wk_cccccccccccccccc' as WorkerId;
const ADA: Owner = {
  clientId: 'cl_aaaaaaaaaaaaaaaa' as ClientId,
  mode: 'live',
  namespace: 'default',
};
const BOB: Owner = { ...ADA, clientId: 'cl_bbbbbbbbbbbbbbbb' as ClientId };

/** Copies of one shard: worker, state, version up to which one that is behind has all. */
type Copies = [workerId: WorkerId, state: ReplicaState, syncedVersion?: number][];

interface World {
  shards: Copies[];
  up: WorkerId[];
  levelling?: string[];
}

/** One collection of these shards, which everybody has; shard i has 10 * i points, 7 as last heard. */
function infoOver({ shards, up, levelling = [] }: World): ClusterInfo {
  const clock = new ManualClock();
  const record = {
    shards: shards.map((_, ordinal) => ({ shardId: `shard-${ordinal}`, ordinal, replicas: [] })),
  };
  const setOf = (shardId: ShardId) => {
    const copies = shards[Number(shardId.slice('shard-'.length))] ?? [];
    const replicas = copies.map(([workerId, state, syncedVersion = 0]) => {
      return { workerId, state, syncedVersion };
    });
    const inSync = replicas.filter(({ state }) => state === 'in_sync');
    return { replicas, inSync, held: { points: 7, bytes: 0 } };
  };
  const deps = {
    catalog: { find: () => record, list: () => (shards.length > 0 ? [record] : []) },
    cluster: {
      set: setOf,
      isLevelling: (shardId: ShardId, id: WorkerId) => levelling.includes(`${shardId}/${id}`),
    },
    router: {
      connected: () => up,
      ask: async ({ shardId }: { shardId: ShardId }) => {
        return { body: { points: 10 * Number(shardId.slice('shard-'.length)) } };
      },
    },
    clock,
  };
  return new ClusterInfo(deps as never);
}

interface Info {
  peer_id: number;
  shard_count: number;
  local_shards: object[];
  remote_shards: { shard_id: number; peer_id: number; state: string }[];
  shard_transfers: object[];
}

async function cluster(world: World, owner = ADA): Promise<Info> {
  const deadline = Deadline.after(new ManualClock(), 1_000);
  return (await infoOver(world).ofCollection(owner, 'c', deadline)) as unknown as Info;
}

/** The id of a worker's peer, as a collection shows it that is there alone. */
async function peerOf(workerId: WorkerId, owner = ADA): Promise<number> {
  return (await cluster({ shards: [[[workerId, 'in_sync']]], up: [workerId] }, owner)).peer_id;
}

test('the peer is a connected worker of the first shard; all others are remote, with their state', async () => {
  const shards: Copies[] = [
    [
      [W1, 'in_sync'],
      [W2, 'in_sync'],
      [W3, 'behind', 5],
    ],
    [
      [W2, 'in_sync'],
      [W3, 'behind'],
    ],
    [[W3, 'in_sync']],
  ];
  const [one, two, three] = [await peerOf(W1), await peerOf(W2), await peerOf(W3)];
  const levelling = ['shard-1/wk_cccccccccccccccc'];
  const info = await cluster({ shards, up: [W2, W3], levelling });
  assert.deepEqual(info, {
    peer_id: two,
    shard_count: 3,
    local_shards: [
      { shard_id: 0, points_count: 0, state: 'Active' },
      { shard_id: 1, points_count: 10, state: 'Active' },
    ],
    remote_shards: [
      { shard_id: 0, peer_id: one, state: 'Dead' },
      { shard_id: 0, peer_id: three, state: 'Recovery' },
      { shard_id: 1, peer_id: three, state: 'Partial' },
      { shard_id: 2, peer_id: three, state: 'Active' },
    ],
    shard_transfers: [{ shard_id: 1, from: two, to: three, sync: true, method: 'stream_records' }],
  });
  const away = await cluster({ shards, up: [] });
  assert.equal(away.peer_id, one);
  assert.deepEqual(away.local_shards, [{ shard_id: 0, points_count: 7, state: 'Dead' }]);
  assert.ok(away.remote_shards.every(({ state }) => state === 'Dead'));
});

test('the id of a peer is stable, exact in a double, and another one for another client', async () => {
  assert.equal(await peerOf(W1), await peerOf(W1));
  const ids = [await peerOf(W1), await peerOf(W2), await peerOf(W1, BOB), await peerOf(W2, BOB)];
  assert.equal(new Set(ids).size, 4);
  for (const id of ids) assert.ok(Number.isSafeInteger(id) && id > 0, `${id}`);
});

test('the cluster is the workers that hold the collections of the caller, by opaque ids', async () => {
  const shards: Copies[] = [
    [
      [W1, 'in_sync'],
      [W2, 'behind'],
    ],
  ];
  const info = infoOver({ shards, up: [W1, W2, W3] }).peers(ADA);
  const [one, two] = [await peerOf(W1), await peerOf(W2)];
  assert.equal(info.peer_id, one);
  assert.deepEqual(info.peers, {
    [one]: { uri: `bulkhead:${one}` },
    [two]: { uri: `bulkhead:${two}` },
  });
  assert.doesNotMatch(JSON.stringify(info), /wk_|cl_|127|localhost/);
});

test('a client that has nothing sees one peer, not which workers there are', () => {
  const few = infoOver({ shards: [], up: [W1] }).peers(ADA);
  const many = infoOver({ shards: [], up: [W1, W2, W3] }).peers(ADA);
  assert.deepEqual(few, many);
  assert.equal(Object.keys(few.peers as object).length, 1);
});
