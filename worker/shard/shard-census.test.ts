/** What a replica says to a census, and what asking leaves as it was. */
import assert from 'node:assert/strict';
import { lstatSync, readdirSync, readlinkSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { recordingLog } from '../../test/harness/recording-log.ts';
import { temporaryFolder } from '../../test/harness/temporary-folder.ts';
import { range, SHARD, ShardRig, upsert } from '../../test/shard/shard-rig.ts';

test('an open shard says what it holds, and what it takes of memory and disk', async (t) => {
  const rig = await ShardRig.start(t);
  const shard = await rig.create();
  const { version, points, bytes } = await upsert(shard, range(0, 300));
  const census = await rig.registry.census(SHARD);
  assert.deepEqual(
    { version, points, bytes },
    {
      version: census.version,
      points: census.points,
      bytes: census.bytes,
    },
  );
  assert.equal(census.memoryBytes, shard.reads.status().memoryBytes);
  const names = readdirSync(shard.folder);
  const onDisk = names.reduce(
    (sum, name) => sum + lstatSync(path.join(shard.folder, name)).size,
    0,
  );
  assert.equal(census.diskBytes, onDisk);
});

test('a link in its folder is not followed', async (t) => {
  const rig = await ShardRig.start(t);
  const shard = await rig.create();
  const before = await rig.registry.census(SHARD);
  const large = path.join(temporaryFolder(t), 'large');
  writeFileSync(large, Buffer.alloc(1_000_000));
  symlinkSync(large, path.join(shard.folder, 'link'));
  assert.equal((await rig.registry.census(SHARD)).diskBytes, before.diskBytes);
});

test('a closed shard stays closed, and no handle is kept for it', async (t) => {
  const { log, saw } = recordingLog();
  const rig = await ShardRig.start(t, log);
  const shard = await rig.create();
  const held = await upsert(shard, range(0, 50));
  await rig.close(true);
  await rig.open();
  const before = saw('shard_opened').length;
  const census = await rig.registry.census(SHARD);
  assert.deepEqual([census.points, census.bytes, census.version], [50, held.bytes, held.version]);
  assert.equal(census.memoryBytes, 0);
  assert.ok(census.diskBytes > 0);
  assert.equal(saw('shard_opened').length, before);
  const { folder } = shard;
  const isOpen = () => {
    const files = readdirSync('/proc/self/fd').map(linkOf);
    return files.some((file) => file.startsWith(folder));
  };
  assert.equal(isOpen(), false);
  rig.store.reader(folder);
  assert.equal(isOpen(), true, 'one that is kept would be seen');
});

test('a shard that is not there says so', async (t) => {
  const rig = await ShardRig.start(t);
  await assert.rejects(rig.registry.census(SHARD), { code: 'unavailable' });
});

test('a cold shard stays cold, and says what it takes there', async (t) => {
  const rig = await ShardRig.start(t);
  const shard = await rig.create();
  const { version, points, bytes } = await upsert(shard, range(0, 50));
  await rig.registry.freeze(SHARD);
  const { diskBytes, ...census } = await rig.registry.census(SHARD);
  assert.deepEqual(census, { version, points, bytes, memoryBytes: 0 });
  assert.ok(diskBytes > 0);
  assert.equal(rig.registry.coldCount, 1);
});

test('one that is on its way to the cold disk is looked at when it is there', async (t) => {
  const rig = await ShardRig.start(t);
  const shard = await rig.create();
  const { points } = await upsert(shard, range(0, 200));
  const freezing = rig.registry.freeze(SHARD);
  const asked = Array.from({ length: 5 }, () => rig.registry.census(SHARD));
  await freezing;
  for (const census of await Promise.all(asked)) assert.equal(census.points, points);
  assert.equal(rig.registry.coldCount, 1, 'asking has not ended it');
});

/** What an open file is; '' for one that is closed again by now: the one of the listing. */
function linkOf(fd: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`);
  } catch {
    return '';
  }
}
