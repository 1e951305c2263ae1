/** A deleted client leaves nothing behind, also when a worker is away and everything is killed. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { AdminClient } from '../../scripts/cli/admin/admin-client.ts';
import { readAdminToken } from '../../scripts/cli/env-files.ts';
import { systemClock } from '../../shared/base/clock.ts';
import { startService } from '../harness/service.ts';

const COLLECTIONS = 6;
const POLL_MS = 50;

test('all of a client is erased, in both modes, on all workers, and nobody else notices', async (t) => {
  const service = await startService(t);
  const admin = new AdminClient({ url: service.adminUrl, token: readAdminToken(service.envFile) });
  t.after(() => admin.close());
  const { client_id: clientId } = await admin.createClient({ name: 'hers' });
  const config = { vectors: { size: 4, distance: 'Cosine' } } as const;
  for (const mode of ['live', 'test'] as const) {
    const { key } = await admin.createKey(clientId, { mode });
    for (let i = 0; i < COLLECTIONS; i += 1) {
      const client = service.client(key);
      await client.createCollection(`c${i}`, config);
      await client.upsert(`c${i}`, { wait: true, points: [{ id: 1, vector: [1, 2, 3, 4] }] });
    }
  }
  await service.client().createCollection('others', config);
  const folders = () => foldersOf(service.dataFolder, clientId);
  assert.equal(folders().length, 2, 'both workers hold something of hers');

  const pid = service.pidOf('worker-1');
  process.kill(pid, 'SIGSTOP');
  const { erase_at } = await admin.deleteClient(clientId, 0);
  assert.ok(erase_at !== null && Date.parse(erase_at) <= Date.now());
  await service.killAndWait('coordinator');
  process.kill(pid, 'SIGKILL');
  await service.up.waitFor('restarted', { name: 'worker-1' });
  while (await isThere(admin, clientId)) {
    await new Promise<void>((resolve) => systemClock.after(POLL_MS, resolve));
  }
  assert.deepEqual(folders(), []);
  const { collections } = await service.client().getCollections();
  assert.deepEqual(collections, [{ name: 'others' }]);
});

async function isThere(admin: AdminClient, clientId: string): Promise<boolean> {
  const clients = await admin.listClients();
  return clients.some(({ client_id }) => client_id === clientId);
}

/** Her folders in those of the workers. */
function foldersOf(dataFolder: string, clientId: string): string[] {
  const all = readdirSync(dataFolder, { recursive: true, encoding: 'utf8' });
  const found = all.filter((path) => path.endsWith(`/${clientId}`));
  return found.filter((path) => existsSync(join(dataFolder, path)));
}
