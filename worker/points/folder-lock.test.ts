import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { InUse } from '../../shared/base/in-use.ts';
import { lockFolder } from './folder-lock.ts';

const root = mkdtempSync(path.join(tmpdir(), 'bulkhead-lock-'));
after(() => rmSync(root, { recursive: true }));

const CHILD = `
  const { lockFolder } = await import(process.argv[1]);
  lockFolder(process.argv[2]);
  globalThis.gc();
  process.stdout.write('locked');
  setInterval(() => {}, 1000);
`;

test('one holder at a time in one process', () => {
  const folder = path.join(root, 'one', 'new');
  const lock = lockFolder(folder);
  assert.throws(() => lockFolder(folder), InUse);
  lockFolder(path.join(root, 'two')).release();
  lock.release();
  lockFolder(folder).release();
});

test('another process is kept out until the holder, which forgot its lock, is killed', async () => {
  const folder = path.join(root, 'shared');
  const module = new URL('./folder-lock.ts', import.meta.url).href;
  const child = spawn(process.execPath, [
    '--expose-gc',
    '--input-type=module',
    '-e',
    CHILD,
    module,
    folder,
  ]);
  after(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  assert.throws(() => lockFolder(folder), /in use by another worker/);
  child.kill('SIGKILL');
  await once(child, 'exit');
  lockFolder(folder).release();
});
