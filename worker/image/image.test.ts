import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { SeededRandom } from '../../shared/base/random.ts';
import { IMAGE_FILE, IMAGE_PART_PREFIX, IMAGE_TMP_FILE, type ImageSection } from './image.ts';
import { type ImageRead, readImage } from './read-image.ts';
import { writeImage } from './write-image.ts';

const META = {
  shardId: '5f0c2a94-27f5-4b6f-9c1d-0a8c6e0f7d11',
  dimension: 3,
  distance: 'Euclid' as const,
  appliedVersion: 2 ** 40 + 7,
  levellings: 3,
};
let root = '';
let folder = '';

before(async () => {
  root = await mkdtemp(path.join(os.tmpdir(), 'image-'));
});
beforeEach(async () => {
  folder = await mkdtemp(path.join(root, 'shard-'));
});
after(() => rm(root, { recursive: true }));

function bytesOf(random: SeededRandom, count: number): Uint8Array {
  return Uint8Array.from({ length: count }, () => random.below(256));
}

/** Two sections in memory (one in pieces) and one file. */
async function sectionsOf(random: SeededRandom, size: number): Promise<ImageSection[]> {
  const file = path.join(root, `graph-${randomUUID()}`);
  await writeFile(file, bytesOf(random, size));
  const vectors = bytesOf(random, size);
  const half = size >>> 1;
  const pieces = [vectors.subarray(0, half), vectors.subarray(half)];
  return [
    { name: 'state', byteLength: 40, pieces: [bytesOf(random, 40)] },
    { name: 'vectors', byteLength: size, pieces },
    { name: 'graph', file },
  ];
}

async function contents(sections: readonly ImageSection[]): Promise<Record<string, string>> {
  const all: Record<string, string> = {};
  for (const section of sections) {
    const bytes =
      'file' in section ? await readFile(section.file) : Buffer.concat([...section.pieces]);
    all[section.name] = bytes.toString('base64');
  }
  return all;
}

function reasonOf(read: ImageRead): string {
  return read.kind === 'refused' ? read.reason : read.kind;
}

test('what was written is read, and the private file is private and goes', async () => {
  const random = new SeededRandom(1);
  for (const size of [0, 1, 5_000, 2_300_000]) {
    const sections = await sectionsOf(random, size);
    const bytes = await writeImage(folder, META, sections);
    assert.equal((await stat(path.join(folder, IMAGE_FILE))).size, bytes);
    assert.equal((await stat(path.join(folder, IMAGE_FILE))).mode & 0o777, 0o600);
    assert.deepEqual(await readdir(folder), [IMAGE_FILE]);
    const read = await readImage(folder, META);
    assert.equal(read.kind, 'ok');
    const { appliedVersion, levellings } = read;
    assert.deepEqual([appliedVersion, levellings], [META.appliedVersion, META.levellings]);
    assert.deepEqual(await contents(read.sections), await contents(sections));
    const part = path.join(folder, `${IMAGE_PART_PREFIX}graph`);
    assert.equal((await stat(part)).mode & 0o777, 0o600);
    await read.release();
    assert.deepEqual(await readdir(folder), [IMAGE_FILE]);
  }
});

test('no image is absent, and leftovers of a crash are cleared', async () => {
  assert.deepEqual(await readImage(folder, META), { kind: 'absent' });
  assert.deepEqual(await readImage(path.join(folder, 'none'), META), { kind: 'absent' });
  await writeFile(path.join(folder, IMAGE_TMP_FILE), 'half of an image');
  await writeFile(path.join(folder, `${IMAGE_PART_PREFIX}graph`), 'a copy');
  assert.deepEqual(await readImage(folder, META), { kind: 'absent' });
  assert.deepEqual(await readdir(folder), []);
});

test('an image of something else is refused', async () => {
  await writeImage(folder, META, await sectionsOf(new SeededRandom(2), 100));
  const other = (change: object) => readImage(folder, { ...META, ...change }).then(reasonOf);
  assert.equal(await other({ shardId: randomUUID() }), 'another shard');
  assert.equal(await other({ dimension: 4 }), 'another dimension');
  assert.equal(await other({ distance: 'Cosine' }), 'another distance');
  assert.equal(await other({}), 'ok');
});

test('every bit flip and every cut is refused, and leaves nothing behind', async () => {
  const seed = 3;
  const random = new SeededRandom(seed);
  await writeImage(folder, META, await sectionsOf(random, 700));
  const file = path.join(folder, IMAGE_FILE);
  const whole = await readFile(file);
  for (let round = 0; round < 300; round += 1) {
    let bad = Buffer.from(whole);
    const cut = round % 3 === 0;
    // Half of the flips go to the header, where they would mislead the reader most.
    const at = random.below(round % 2 === 0 ? 168 : whole.length);
    if (cut) bad = bad.subarray(0, at);
    else bad[at] = (bad[at] ?? 0) ^ (1 << random.below(8));
    await writeFile(file, bad);
    const read = await readImage(folder, META);
    const what = `seed ${seed}, round ${round}, ${cut ? 'cut' : 'flip'} at ${at}`;
    assert.equal(read.kind, 'refused', what);
    assert.deepEqual(await readdir(folder), [IMAGE_FILE], what);
  }
  await writeFile(file, Buffer.concat([whole, Buffer.alloc(1)]));
  assert.equal(reasonOf(await readImage(folder, META)), 'a wrong length');
  await writeFile(file, whole);
  const intact = await readImage(folder, META);
  assert.equal(intact.kind, 'ok');
});

test('random bytes, a symbolic link and a folder are refused', async () => {
  const random = new SeededRandom(4);
  const file = path.join(folder, IMAGE_FILE);
  for (const size of [0, 10, 136, 5_000]) {
    await writeFile(file, bytesOf(random, size));
    assert.equal((await readImage(folder, META)).kind, 'refused');
  }
  await rm(file);
  await symlink('/etc/hostname', file);
  assert.equal(reasonOf(await readImage(folder, META)), 'disk: ELOOP');
  await rm(file);
  await writeImage(path.dirname(file), META, await sectionsOf(random, 10));
  assert.equal((await readImage(folder, META)).kind, 'ok');
});

test('bytes that change while they are written still give an image that verifies', async () => {
  const vectors = new Uint8Array(8 * 2 ** 20).fill(1);
  const section = { name: 'vectors', byteLength: vectors.length, pieces: [vectors] };
  const writing = writeImage(folder, META, [section]);
  let done = false;
  const finished = writing.finally(() => {
    done = true;
  });
  let value = 2;
  while (!done) {
    vectors.fill(value % 256);
    value += 1;
    await new Promise((resolve) => setImmediate(resolve));
  }
  await finished;
  assert.equal((await readImage(folder, META)).kind, 'ok');
});

test('a write that fails leaves the old image and no temporary file', async () => {
  const random = new SeededRandom(5);
  await writeImage(folder, META, await sectionsOf(random, 64));
  const old = await readFile(path.join(folder, IMAGE_FILE));
  const missing = { name: 'graph', file: path.join(folder, 'no-such-file') };
  await assert.rejects(writeImage(folder, META, [missing]), { code: 'ENOENT' });
  const broken: ImageSection = {
    name: 'vectors',
    byteLength: 10,
    pieces: (function* fail() {
      yield new Uint8Array(5);
      throw new Error('lost');
    })(),
  };
  await assert.rejects(writeImage(folder, META, [broken]), /lost/);
  assert.deepEqual(await readdir(folder), [IMAGE_FILE]);
  assert.deepEqual(await readFile(path.join(folder, IMAGE_FILE)), old);
});
