/** Operators set the terms of workers with the command line, against the real processes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runCommand, runJson } from '../harness/run-command.ts';
import { type Service, startService } from '../harness/service.ts';

test('a worker is named, dedicated, drained as far as it can be, and resumed', async (t) => {
  const service = await startService(t);
  const body = { vectors: { size: 2, distance: 'Dot' }, replication_factor: 2 };
  const made = await service.fetch('PUT', '/collections/c', body);
  assert.equal(made.status, 200, await made.text());
  const [first] = await runJson(service, ['worker', 'list']);
  const worker = String(first?.worker_id);
  assert.deepEqual([first?.draining, first?.shards, first?.version], [false, 1, 1]);
  const machine = first?.machine as Record<string, number>;
  assert.ok(Number(machine.memory_bytes) > 2 ** 20, JSON.stringify(machine));
  assert.ok(Number(machine.disk_free_bytes) <= Number(machine.disk_bytes));
  await placesAreTold(service, worker);
  const bare = await runCommand(['worker', 'set', worker, '--env-file', service.envFile]);
  assert.equal(bare.code, 2, bare.stderr);

  const where = ['--zone', 'rack-1', '--dedicated-to', 'first'];
  const [set] = await runJson(service, ['worker', 'set', worker, ...where]);
  assert.equal(set?.zone, 'rack-1');
  assert.match(String(set?.dedicated_to), /^cl_/);
  const none = ['--zone', 'none', '--dedicated-to', 'none'];
  const [cleared] = await runJson(service, ['worker', 'set', worker, ...none]);
  assert.deepEqual([cleared?.zone, cleared?.dedicated_to], [null, null]);

  // Each of the two workers has a copy, so nobody is left who might take this one.
  const admin = ['--env-file', service.envFile, '--admin-url', service.adminUrl];
  const drain = await runCommand(['worker', 'drain', worker, '--wait', ...admin]);
  assert.equal(drain.code, 5, drain.stdout);
  assert.match(drain.stdout, /1 shard left, 1 that no other worker may take/);
  assert.match(drain.stderr, /can not be emptied: no other worker may take its last shard/);
  const [shown] = await runJson(service, ['worker', 'show', worker]);
  assert.deepEqual([shown?.draining, shown?.state, shown?.stranded], [true, 'draining', 1]);

  const [resumed] = await runJson(service, ['worker', 'resume', worker]);
  assert.deepEqual([resumed?.draining, resumed?.stranded], [false, 0]);
  assert.notEqual(resumed?.state, 'draining');
  const log = await runJson(service, ['audit', 'list', '--target', worker]);
  const actions = log.map(({ action }) => action);
  assert.deepEqual(actions, ['worker.update', 'worker.update', 'worker.drain', 'worker.resume']);
  const missing = await runCommand(['worker', 'drain', 'wk_aaaaaaaaaaaaaaaa', ...admin]);
  assert.equal(missing.code, 4, missing.stderr);
});

/** Both copies of the only collection are in sync. */
async function placesAreTold(service: Service, worker: string): Promise<void> {
  const replicas = await runJson(service, ['replicas', '--client', 'first']);
  assert.deepEqual(
    replicas.map(({ collection, state, versions_behind }) => [collection, state, versions_behind]),
    [
      ['c', 'in_sync', 0],
      ['c', 'in_sync', 0],
    ],
  );
  const there = await runJson(service, ['replicas', '--worker', worker]);
  assert.deepEqual(
    there.map(({ worker_id }) => worker_id),
    [worker],
  );
  assert.deepEqual(await runJson(service, ['replicas', '--behind']), []);
  const [status] = await runJson(service, ['status']);
  assert.deepEqual([status?.shards, status?.shards_unreachable], [1, 0]);
  assert.deepEqual(status?.replicas, { total: 2, behind: 0 });
  assert.deepEqual(status?.replicas_behind, []);
}
