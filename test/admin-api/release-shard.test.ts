/** Releasing a quarantined shard: who may be asked, what is answered, what the audit log keeps. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WorkerId } from '../../shared/base/ids.ts';
import { AdminRig } from './admin-rig.ts';

const WORKER = 'wk_aaaaaaaaaaaaaaaa' as WorkerId;
const AWAY = 'wk_bbbbbbbbbbbbbbbb' as WorkerId;
const SHARD = '00000000-0000-4000-8000-000000000001';

test('a shard is released where it is quarantined, and the order is in the audit log', async (t) => {
  const rig = await AdminRig.start(t);
  for (const workerId of [WORKER, AWAY]) rig.store.workers.seen(workerId);
  const counts = { shards: 1, behind: 0, erasing: 0, inFlight: 0, machine: null };
  rig.fleet.live = [
    { workerId: WORKER, connected: true, state: 'healthy', ...counts },
    { workerId: AWAY, connected: false, state: 'down', ...counts },
  ];
  rig.quarantined.add(SHARD);
  const release = async (workerId: string, shardId: string) => {
    const { status, reply } = await rig.send(
      'POST',
      `/workers/${workerId}/shards/${shardId}/release`,
    );
    return [status, reply.code ?? reply];
  };
  assert.deepEqual(await release('wk_cccccccccccccccc', SHARD), [404, 'not_found']);
  assert.deepEqual(await release(WORKER, 'all'), [400, 'invalid_argument']);
  assert.deepEqual(await release(AWAY, SHARD), [503, 'unavailable']);
  assert.deepEqual(await rig.audit(), [], 'nothing was ordered yet');
  const released = { worker_id: WORKER, shard_id: SHARD, state: 'released' };
  assert.deepEqual(await release(WORKER, SHARD), [200, released]);
  const [entry] = await rig.audit();
  const { action, target, before, after } = entry ?? {};
  const ordered = ['worker.release_shard', WORKER, null, { shard_id: SHARD }];
  assert.deepEqual([action, target, before, after], ordered);
  assert.deepEqual(await release(WORKER, SHARD), [409, 'conflict'], 'it is not quarantined now');
});
