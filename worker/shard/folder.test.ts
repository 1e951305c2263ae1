import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import type { ClientId, CollectionId, ShardId } from '../../shared/base/ids.ts';
import type { ShardDescriptor, ShardPlace } from '../../shared/domain/collection.ts';
import {
  createShardFolder,
  findShardFolders,
  readDescriptor,
  removeShardFolder,
  shardFolder,
  writeDescriptor,
} from './folder.ts';

let dataDir: string;
beforeEach(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'bulkhead-folder-'));
});
afterEach(() => rm(dataDir, { recursive: true }));

function place(change: Partial<ShardPlace> = {}): ShardPlace {
  return {
    clientId: 'cl_aaaaaaaaaaaaaaaa' as ClientId,
    mode: 'live',
    namespace: 'default',
    collection: 'books',
    generation: 1,
    ordinal: 0,
    ...change,
  };
}

function descriptor(at = place()): ShardDescriptor {
  return {
    shardId: '00000000-0000-4000-8000-000000000001' as ShardId,
    collectionId: '00000000-0000-4000-8000-000000000002' as CollectionId,
    place: at,
    config: {
      vector: { dimension: 4, distance: 'Dot' },
      hnsw: { m: 16, efConstruct: 100 },
    },
    payloadIndexes: {},
  };
}

test('different places have different folders, whatever the names are', () => {
  const names = [
    'a',
    'A',
    'a.1',
    'a/b',
    '..',
    '.',
    'a%2fb',
    'ä',
    'a b',
    'x'.repeat(255),
    'x'.repeat(254),
  ];
  const places = [
    ...names.map((collection) => place({ collection })),
    place({ mode: 'test' }),
    place({ generation: 2 }),
    place({ ordinal: 1 }),
    place({ namespace: 'other' }),
  ];
  const folders = places.map((at) => shardFolder(dataDir, at));
  assert.equal(new Set(folders).size, places.length);
  for (const folder of folders) {
    assert.ok(folder.startsWith(`${dataDir}/clients/cl_aaaaaaaaaaaaaaaa/`), folder);
    for (const part of folder.split('/')) assert.ok(Buffer.byteLength(part) <= 255);
  }
});

test('a folder comes and goes whole; what a crash left is removed, the rest is found', async () => {
  const folder = shardFolder(dataDir, place());
  await createShardFolder(folder, descriptor(), async (making) => {
    await writeFile(path.join(making, 'points.db'), 'rows');
  });
  const half = shardFolder(dataDir, place({ ordinal: 1 }));
  await mkdir(`${half}.creating`, { recursive: true });
  await mkdir(`${half}.dropped`, { recursive: true });
  assert.deepEqual(await findShardFolders(dataDir), [folder]);
  assert.deepEqual(await readdir(path.dirname(folder)), ['0']);
  assert.deepEqual(await readDescriptor(folder), descriptor());

  const changed = { ...descriptor(), payloadIndexes: { kind: 'keyword' as const } };
  await writeDescriptor(folder, changed);
  assert.deepEqual(await readDescriptor(folder), changed);

  await removeShardFolder(folder);
  assert.deepEqual(await findShardFolders(dataDir), []);
});

test('a creation that fails leaves no shard behind', async () => {
  const folder = shardFolder(dataDir, place());
  const failing = createShardFolder(folder, descriptor(), () => Promise.reject(new Error('full')));
  await assert.rejects(failing, /full/);
  assert.deepEqual(await findShardFolders(dataDir), []);
});
