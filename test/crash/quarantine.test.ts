/** A shard whose opening ends the worker is set aside; the others are served, and an operator lets it go. */
import assert from 'node:assert/strict';
import { globSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { AdminClient } from '../../scripts/cli/admin/admin-client.ts';
import { must } from '../../shared/base/assert.ts';
import { cleanUp } from '../harness/cleanup.ts';
import { runJson } from '../harness/run-command.ts';
import { type Service, startService } from '../harness/service.ts';

const PRELOAD = new URL('./fatal-opening.ts', import.meta.url).href;
const ENV = { NODE_OPTIONS: `--import ${PRELOAD}` };
const COLLECTION = { vectors: { size: 2, distance: 'Dot' } } as const;
const QUERY = { query: [1, 0], limit: 10 };
const TRIES = 200;
const PAUSE_MS = 50;

async function ask(service: Service, collection: string): Promise<[number, unknown]> {
  const answer = await service.fetch('POST', `/collections/${collection}/points/query`, QUERY);
  const reply = (await answer.json()) as { code?: unknown };
  return [answer.status, reply.code];
}

/** Asks until the answer is no passing trouble any more. */
async function askForLong(service: Service, collection: string): Promise<[number, unknown]> {
  for (let tries = 0; tries < TRIES; tries += 1) {
    const [status, code] = await ask(service, collection);
    if (code !== 'unavailable' && status !== 504) return [status, code];
    await sleep(PAUSE_MS);
  }
  throw new Error(`the collection ${collection} is never answered for`);
}

const restarts = (service: Service) => {
  return service.up.events.filter(({ event }) => event === 'restarted').length;
};

test('a shard whose opening ends the worker twice is quarantined, until it is released', async (t) => {
  const service = await startService(t, { workers: 1, env: ENV });
  for (const name of ['good', 'bad']) {
    await service.client().createCollection(name, COLLECTION);
    const points = [{ id: 1, vector: [1, 0], payload: {} }];
    await service.client().upsert(name, { wait: true, points });
  }
  const [database] = globSync(join(service.dataFolder, 'worker-1/clients/**/bad.*/0/points.db'));
  const fatal = join(dirname(must(database, 'it has its file')), 'fatal');
  writeFileSync(fatal, '');
  await service.killAndWait('worker-1');

  assert.deepEqual(await askForLong(service, 'bad'), [503, 'shard_quarantined']);
  assert.equal(restarts(service), 3, 'the worker died twice of it');
  assert.deepEqual(await askForLong(service, 'good'), [200, undefined]);
  const write = await service.fetch('PUT', '/collections/bad/points?wait=true', {
    points: [{ id: 2, vector: [0, 1] }],
  });
  assert.equal(write.status, 503);
  const log = service.up.log.split('\n').filter((line) => line.includes('"shard_quarantined"'));
  const { shardId } = JSON.parse(must(log[0], 'it is logged'));
  await service.killAndWait('worker-1');
  assert.deepEqual(await askForLong(service, 'bad'), [503, 'shard_quarantined']);
  assert.equal(restarts(service), 4, 'it survives a restart');

  const admin = new AdminClient({ url: service.adminUrl, token: service.adminToken() });
  cleanUp(t, () => admin.close());
  const workerId = must((await admin.workers())[0], 'there is one').worker_id;
  await admin.releaseShard(workerId, shardId);
  assert.deepEqual(await askForLong(service, 'bad'), [503, 'shard_quarantined']);
  assert.equal(restarts(service), 5, 'one more death is enough');
  assert.deepEqual(await askForLong(service, 'good'), [200, undefined]);

  rmSync(fatal);
  const [released] = await runJson(service, ['worker', 'release-shard', workerId, shardId]);
  assert.deepEqual(released, { worker_id: workerId, shard_id: shardId, state: 'released' });
  assert.deepEqual(await askForLong(service, 'bad'), [200, undefined]);
  const [entry] = await admin.listAudit(workerId);
  assert.deepEqual([entry?.action, entry?.target], ['worker.release_shard', workerId]);
});
