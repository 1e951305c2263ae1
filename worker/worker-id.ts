/**
 * The worker's identity lives in its data folder, since that is what the coordinator places shards
 * on: the same folder is the same worker, whatever process serves it.
 */
import { open, readFile, rename } from 'node:fs/promises';
import path from 'node:path';
import { assert } from '../shared/base/assert.ts';
import { isId, randomId, type WorkerId } from '../shared/base/ids.ts';
import type { SecureRandom } from '../shared/base/random.ts';

const FILE = 'worker.id';

/** Reads the id, or makes one that is durable before it is used. */
export async function loadWorkerId(dataDir: string, random: SecureRandom): Promise<WorkerId> {
  const file = path.join(dataDir, FILE);
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (text !== undefined) {
    const id = text.trim();
    assert(isId('wk_', id), `${FILE} holds a worker id`);
    return id as WorkerId;
  }
  const id = randomId<WorkerId>('wk_', random.bytes);
  {
    await using handle = await open(`${file}.tmp`, 'w', 0o600);
    await handle.writeFile(`${id}\n`);
    await handle.sync();
  }
  await rename(`${file}.tmp`, file);
  await using folder = await open(dataDir, 'r');
  await folder.sync();
  return id;
}
