/** Coordinator and worker, as they run, when every sync of their disks begins to fail and ends to. */
import assert from 'node:assert/strict';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { QdrantClient } from '@qdrant/js-client-rest';
import { AdminClient } from '../../scripts/cli/admin/admin-client.ts';
import { cleanUp } from '../harness/cleanup.ts';
import { ADMIN_TOKEN, Program } from '../harness/program.ts';
import { quickFolder, rootOf, Shim, switchOf } from './shim.ts';

const NAME = 'books';
const REFUSED = { status: 503 };

function pointOf(id: number) {
  return { id, vector: [id, 1], payload: { id } };
}

test('no process ends, reads go on, and everything does when the disk is well again', async (t) => {
  const shim = Shim.build();
  if (!(shim instanceof Shim)) {
    t.skip(`failing disks are not tested: ${shim.missing}`);
    return;
  }
  const folder = quickFolder(t);
  const watched = shim.environment(folder, { journal: false });
  const start = (name: 'coordinator' | 'worker', env: Record<string, string>) => {
    const dataDir = { BULKHEAD_DATA_DIR: join(rootOf(folder), name) };
    return Program.start(t, name, { folder, env: { ...watched, ...dataDir, ...env } });
  };
  const coordinator = start('coordinator', {});
  const ports = await coordinator.ready;
  const link = { BULKHEAD_COORDINATOR_URL: `ws://127.0.0.1:${ports.linkPort}` };
  const worker = start('worker', link);
  await coordinator.untilLogged('link_connected');
  const admin = new AdminClient({
    url: `http://127.0.0.1:${ports.adminPort}`,
    token: ADMIN_TOKEN,
  });
  cleanUp(t, () => admin.close());
  const { client_id: clientId } = await admin.createClient({ name: 'c' });
  const { key } = await admin.createKey(clientId, { mode: 'live', name: 'k' });
  const client = new QdrantClient({ url: `http://127.0.0.1:${ports.port}`, apiKey: key });
  const upsert = (id: number) => client.upsert(NAME, { wait: true, points: [pointOf(id)] });
  const ids = async () => {
    const { points } = await client.scroll(NAME, { limit: 100 });
    const found = await client.query(NAME, { query: [1, 1], limit: 100 });
    const listed = points.map(({ id }) => Number(id));
    assert.deepEqual(found.points.map(({ id }) => Number(id)).toSorted(), listed.toSorted());
    return listed;
  };
  await client.createCollection(NAME, { vectors: { size: 2, distance: 'Dot' } });
  await upsert(1);

  writeFileSync(switchOf(folder), '');
  for (const id of [2, 3, 4]) await assert.rejects(upsert(id), REFUSED);
  await assert.rejects(client.delete(NAME, { wait: true, points: [1] }), REFUSED);
  await assert.rejects(admin.createKey(clientId, { mode: 'live', name: 'l' }));
  assert.ok((await ids()).includes(1), 'reads go on');
  await coordinator.untilLogged('census_failed');
  await coordinator.untilLogged('notice_failed');
  await worker.kill('SIGKILL');
  const again = start('worker', { ...link, LD_PRELOAD: '' });
  await again.untilLogged('link_connected');
  assert.ok((await ids()).includes(1), 'a worker may come while the coordinator can not write');
  rmSync(switchOf(folder));
  await upsert(5);
  await again.kill('SIGTERM');

  const last = start('worker', link);
  await last.untilLogged('link_connected');
  writeFileSync(switchOf(folder), '');
  await assert.rejects(upsert(6), REFUSED);
  rmSync(switchOf(folder));
  await upsert(6);
  const { status } = await client.delete(NAME, { wait: true, points: [1] });
  assert.equal(status, 'completed');
  await admin.createKey(clientId, { mode: 'live', name: 'm' });
  const now = await ids();
  assert.ok(now.includes(5) && now.includes(6) && !now.includes(1));
  for (const program of [last, coordinator]) {
    assert.deepEqual(await program.kill('SIGTERM'), { code: 0, signal: null });
  }
  assert.ok(worker.logged('disk_failed').length > 0, 'operators hear of it');
});
