/** One process a data folder, by whatever path; one worker an id. Real processes, SIGKILL included. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Program } from '../harness/program.ts';
import { temporaryFolder } from '../harness/temporary-folder.ts';

const IN_USE = { code: 3, signal: null };

for (const name of ['coordinator', 'worker'] as const) {
  test(`a second ${name} on the same folder does not start, and says why`, async (t) => {
    const folder = temporaryFolder(t);
    mkdirSync(join(folder, 'real'));
    symlinkSync(join(folder, 'real'), join(folder, 'link'));
    const start = (path: string) => {
      const env = { BULKHEAD_DATA_DIR: join(folder, path, 'data') };
      return Program.start(t, name, { folder, env });
    };
    const first = start('real');
    await first.ready;
    const second = start('link');
    assert.deepEqual(await second.ended, IN_USE);
    const lines = second.logged('already_in_use');
    assert.equal(lines.length, 1, 'it is said in one line');
    assert.match(String(lines[0]?.reason), new RegExp(`/data.* is in use by another ${name}$`));
    assert.equal(second.logged('start_failed').length, 0);
    assert.ok(first.isRunning);
    await first.kill('SIGKILL');
    const third = start('real');
    await third.ready;
    assert.deepEqual(await third.kill('SIGTERM'), { code: 0, signal: null });
  });
}

test('a copy of a folder is kept out while the worker it was copied from is connected', async (t) => {
  const folder = temporaryFolder(t);
  const start = (
    name: 'coordinator' | 'worker',
    data: string,
    env: Record<string, string> = {},
  ) => {
    return Program.start(t, name, {
      folder,
      env: { BULKHEAD_DATA_DIR: join(folder, data), ...env },
    });
  };
  const coordinator = start('coordinator', 'coordinator');
  const { linkPort } = await coordinator.ready;
  const link = { BULKHEAD_COORDINATOR_URL: `ws://127.0.0.1:${linkPort}` };
  const original = start('worker', 'original', link);
  await original.untilLogged('link_connected');
  cpSync(join(folder, 'original', 'worker.id'), join(folder, 'copy', 'worker.id'));
  const copy = start('worker', 'copy', link);
  const [told, said] = [
    await copy.untilLogged('worker_id_taken'),
    await coordinator.untilLogged('worker_id_taken'),
  ];
  assert.equal(told.workerId, said.workerId);
  assert.equal(copy.logged('link_connected').length, 0);
  assert.equal(original.logged('link_lost').length, 0, 'the original goes on');
  await original.kill('SIGKILL');
  await copy.untilLogged('link_connected');
});
