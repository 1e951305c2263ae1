/**
 * Where a shard lives on disk, and the one small file that says what it is.
 *
 *   DATA/clients/<client>/<mode>/<namespace>/<collection>.<generation>/<ordinal>/
 *     shard.json    this file's format: {"format":1,"descriptor":{...}}
 *     points.db     truth (worker/points)
 *     index.img     cache (worker/image)
 *
 * A shard's folder appears and disappears whole: it is filled under the name `<ordinal>.creating`
 * and renamed into place, and renamed to `<ordinal>.dropped` before it is erased. What a crash
 * leaves under those two names is removed at the next start; nothing else ever is.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import {
  type FileHandle,
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  rmdir,
} from 'node:fs/promises';
import path from 'node:path';
import { assert } from '../../shared/base/assert.ts';
import type { ShardDescriptor, ShardPlace } from '../../shared/domain/collection.ts';
import { isShardDescriptor } from '../../shared/protocol/descriptor-check.ts';

const FORMAT = 1;
const DESCRIPTOR_FILE = 'shard.json';
export const CREATING = '.creating';
const DROPPED = '.dropped';
/** Folder levels between DATA/clients and a shard: client, mode, namespace, collection, ordinal. */
const DEPTH = 5;
/** Longer names are cut and told apart by a digest: a folder's name has 255 bytes at most. */
const NAME_BYTES_MAX = 160;

/** The shard's folder below `dataDir`. Two different places never share a folder. */
export function shardFolder(dataDir: string, place: ShardPlace): string {
  return path.join(
    clientsFolder(dataDir),
    folderName(place.clientId),
    place.mode,
    folderName(place.namespace),
    `${folderName(place.collection)}.${place.generation}`,
    String(place.ordinal),
  );
}

/** Letters, digits, `-` and `_` stand for themselves, every other byte for `%` and its hex. */
function folderName(name: string): string {
  let encoded = '';
  for (const byte of Buffer.from(name)) {
    const char = String.fromCharCode(byte);
    encoded += /[A-Za-z0-9_-]/.test(char) ? char : `%${byte.toString(16).padStart(2, '0')}`;
  }
  if (encoded.length <= NAME_BYTES_MAX) return encoded;
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 32);
  return `${encoded.slice(0, NAME_BYTES_MAX - digest.length - 1)}~${digest}`;
}

function clientsFolder(dataDir: string): string {
  return path.join(dataDir, 'clients');
}

/**
 * Makes the folder with whatever `fill` puts into it; durable when the promise resolves. Where an
 * earlier try came as far as the name, only its syncs are left to do.
 */
export async function createShardFolder(
  folder: string,
  descriptor: ShardDescriptor,
  fill: (folder: string) => Promise<void>,
): Promise<void> {
  const isMade = existsSync(folder);
  if (isMade) {
    const { shardId } = await readDescriptor(folder);
    assert(shardId === descriptor.shardId, 'a folder holds one shard');
  } else {
    const making = folder + CREATING;
    await rm(making, { recursive: true, force: true });
    await mkdir(making, { recursive: true });
    await fill(making);
    await writeDescriptor(making, descriptor);
    await rename(making, folder);
  }
  await syncParents(folder);
}

/** Replaces the descriptor; after a crash either the old or the new one is there, whole. */
export async function writeDescriptor(folder: string, descriptor: ShardDescriptor): Promise<void> {
  const file = path.join(folder, DESCRIPTOR_FILE);
  await using handle = await openForWriting(`${file}.tmp`);
  await handle.writeFile(JSON.stringify({ format: FORMAT, descriptor }));
  await handle.sync();
  await rename(`${file}.tmp`, file);
  await syncFolder(folder);
}

/** Throws when the file is not there, not whole, or of another format. */
export async function readDescriptor(folder: string): Promise<ShardDescriptor> {
  const text = await readFile(path.join(folder, DESCRIPTOR_FILE), 'utf8');
  const { format, descriptor } = JSON.parse(text) as Record<string, unknown>;
  assert(format === FORMAT, `${DESCRIPTOR_FILE} has format ${FORMAT}`);
  assert(isShardDescriptor(descriptor), `${DESCRIPTOR_FILE} holds a descriptor`);
  return descriptor;
}

/**
 * Erases the folder, also one that was half erased; those above it go with the last thing in them.
 * Not to be called while a shard is being made.
 */
export async function removeShardFolder(folder: string): Promise<void> {
  const dropped = folder + DROPPED;
  const collection = path.dirname(folder);
  if (!existsSync(collection)) return;
  await rm(dropped, { recursive: true, force: true });
  if (existsSync(folder)) await rename(folder, dropped);
  await syncFolder(collection);
  await rm(dropped, { recursive: true, force: true });
  let parent = collection;
  for (let depth = 1; depth < DEPTH; depth += 1) {
    if ((await readdir(parent)).length > 0) return;
    await rmdir(parent);
    parent = path.dirname(parent);
  }
}

/** Of the files in the folder itself; links are not followed, and what goes meanwhile is not counted. */
export async function folderBytes(folder: string): Promise<number> {
  let bytes = 0;
  for (const name of await readdir(folder)) {
    try {
      const entry = await lstat(path.join(folder, name));
      if (entry.isFile()) bytes += entry.size;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return bytes;
}

/** All shard folders below `dataDir`; removes what interrupted creations and drops left. */
export async function findShardFolders(dataDir: string): Promise<string[]> {
  let level = [clientsFolder(dataDir)];
  await mkdir(clientsFolder(dataDir), { recursive: true });
  await syncFolder(dataDir);
  await syncFolder(path.dirname(dataDir));
  let collections: string[] = [];
  for (let depth = 0; depth < DEPTH; depth += 1) {
    collections = level;
    const next: string[] = [];
    for (const parent of level) next.push(...(await subfolders(parent)));
    level = next;
  }
  const found: string[] = [];
  for (const folder of level) {
    if (folder.endsWith(CREATING) || folder.endsWith(DROPPED)) {
      await rm(folder, { recursive: true, force: true });
    } else {
      found.push(folder);
    }
  }
  for (const collection of collections) {
    if ((await readdir(collection)).length === 0) await rmdir(collection);
  }
  return found;
}

async function subfolders(parent: string): Promise<string[]> {
  const entries = await readdir(parent, { withFileTypes: true });
  return entries.filter((entry) => entry.isDirectory()).map((e) => path.join(parent, e.name));
}

/** Makes the folder's own entry and those of the folders above it durable, up to `clients`. */
async function syncParents(folder: string): Promise<void> {
  let parent = path.dirname(folder);
  for (let depth = 0; depth < DEPTH; depth += 1) {
    await syncFolder(parent);
    parent = path.dirname(parent);
  }
}

async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, 'r');
  await handle.sync();
}

function openForWriting(file: string): Promise<FileHandle> {
  return open(file, 'w', 0o600);
}
