/** Where shards are, in the words of the dialect, as two clients see it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSmall, startRig } from './data-rig.ts';

const BOB = { 'api-key': 'b-live' };

test('a collection shows its shards with their points, and goes on to when its worker is away', async (t) => {
  const rig = await startRig(t);
  const vectors = { size: 4, distance: 'Dot' };
  await rig.call('PUT', '/collections/c', { vectors, shard_number: 3 });
  const points = Array.from({ length: 50 }, (_, id) => ({ id, vector: [1, 0, 0, 0] }));
  await rig.call('PUT', '/collections/c/points', { points });
  const { json } = await rig.call('GET', '/collections/c/cluster');
  const { peer_id, shard_count, local_shards, remote_shards, shard_transfers } = json.result;
  assert.ok(Number.isSafeInteger(peer_id));
  assert.deepEqual([shard_count, remote_shards, shard_transfers], [3, [], []]);
  const counts = local_shards.map((shard: { points_count: number }) => shard.points_count);
  assert.equal(
    counts.reduce((sum: number, count: number) => sum + count),
    50,
  );
  assert.deepEqual(
    local_shards.map(({ shard_id, state }: { shard_id: number; state: string }) => [
      shard_id,
      state,
    ]),
    [0, 1, 2].map((ordinal) => [ordinal, 'Active']),
  );

  rig.worker.online = false;
  const away = await rig.call('GET', '/collections/c/cluster');
  assert.equal(away.status, 200);
  assert.deepEqual(
    away.json.result.local_shards,
    local_shards.map((shard: object) => ({ ...shard, state: 'Dead' })),
  );
  assert.equal(away.json.result.peer_id, peer_id);
});

test('the cluster tells a client nothing of other clients, of namespaces or of machines', async (t) => {
  const rig = await startRig(t);
  const before = (await rig.call('GET', '/cluster', undefined, BOB)).json.result;
  await createSmall(rig);
  const ada = (await rig.call('GET', '/cluster')).json.result;
  const bob = (await rig.call('GET', '/cluster', undefined, BOB)).json.result;
  const timeless = (info: object) => ({ ...info, consensus_thread_status: undefined });
  assert.deepEqual(timeless(bob), timeless(before), "another client's collection changes nothing");
  const { json } = await rig.call('GET', '/collections/c/cluster');
  assert.equal(json.result.peer_id, ada.peer_id);
  assert.deepEqual(Object.keys(ada.peers), [String(ada.peer_id)]);
  await rig.call('PUT', '/collections/c', { vectors: { size: 4, distance: 'Dot' } }, BOB);
  const sharing = (await rig.call('GET', '/cluster', undefined, BOB)).json.result;
  assert.notEqual(sharing.peer_id, ada.peer_id, 'of one worker, two clients see two ids');
  const regions = { 'api-key': 'a-live-regions' };
  const elsewhere = (await rig.call('GET', '/cluster', undefined, regions)).json.result;
  assert.notEqual(elsewhere.peer_id, ada.peer_id);
  for (const info of [ada, bob, sharing]) {
    assert.doesNotMatch(JSON.stringify(info), /wk_|cl_|127\.0|localhost|http/);
  }
});
