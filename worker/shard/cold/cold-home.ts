/**
 * The move of a shard's files to the cold disk and back. At any moment one of the two folders is the
 * shard's home, and `cold.json` says which: when it is there, the cold one.
 *
 *   hot   <ordinal>/  shard.json  points.db  index.img           <ordinal>/  shard.json  cold.json
 *   cold                                                         <ordinal>/  points.db.zst  index.img.zst
 *                                                                            manifest.json
 *   freeze   pack into <ordinal>.creating, unpack it once to see that it can be, rename, sync
 *            cold.json written, renamed into place, synced       <- from here on it is cold
 *            points.db and index.img removed
 *   thaw     unpack beside, sync, rename to points.db and index.img, sync
 *            cold.json removed, synced                           <- from here on it is hot
 *            the cold folder removed
 *
 * What a crash or a failing disk leaves of the other home is a copy of the same, and is removed at the next
 * start or move (`settleHome`). `cold.json` and `manifest.json` are the same text: what the shard holds, and the files
 * with their digests, so that questions about how much it holds need no cold disk.
 */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { makeFolderDurably, syncFolder } from '../../../shared/base/durable-folder.ts';
import { AppError } from '../../../shared/errors/app-error.ts';
import type { Reply } from '../../../shared/protocol/messages.ts';
import type { Written } from '../../../shared/protocol/schema.ts';
import { IMAGE_FILE, IMAGE_TMP_FILE } from '../../image/image.ts';
import { DamagedData } from '../../points/storage-errors.ts';
import { CREATING, removeShardFolder } from '../folder.ts';
import { type Packed, pack, unpack, WrongDigest } from './packed-file.ts';

/** What is known of a shard without its rows. */
export interface ColdFacts {
  shardId: string;
  held: Written;
  /** The highest version of which there is a note of what a write came to; 0 when there is none. */
  newestNote: number;
  status: Omit<Reply<'shard-status'>, 'diskBytes' | 'memoryBytes'>;
}

export interface ColdManifest extends ColdFacts {
  files: Packed[];
}

const FORMAT = 1;
const STUB_FILE = 'cold.json';
const MANIFEST_FILE = 'manifest.json';
const ROWS_FILE = 'points.db';
const PACKED = '.zst';
const THAWING = '.thawing';
/** What a hot folder has beside `shard.json`. */
const HOT_FILES = [ROWS_FILE, `${ROWS_FILE}-wal`, `${ROWS_FILE}-shm`, IMAGE_FILE, IMAGE_TMP_FILE];

/** Moves the files of a shard that nobody has open to the cold folder. Throws what the file system throws, an
 * `AbortError`, and `DamagedData` when what was packed can not be unpacked; then it is hot, as before. */
export async function freezeFolder(
  folder: string,
  coldFolder: string,
  facts: ColdFacts,
  signal: AbortSignal,
): Promise<ColdManifest> {
  await requireFolded(folder);
  const making = coldFolder + CREATING;
  await rm(making, { recursive: true, force: true });
  await rm(coldFolder, { recursive: true, force: true });
  makeFolderDurably(path.dirname(coldFolder));
  await mkdir(making, { mode: 0o700 });
  try {
    const files: Packed[] = [];
    for (const name of [ROWS_FILE, IMAGE_FILE]) {
      if (!existsSync(path.join(folder, name))) continue;
      const target = path.join(making, name + PACKED);
      const packed = { name, ...(await pack(path.join(folder, name), target, signal)) };
      await unpacked(target, undefined, packed, signal);
      files.push(packed);
    }
    const manifest = { ...facts, files };
    await writeWhole(path.join(making, MANIFEST_FILE), manifest);
    await rename(making, coldFolder);
    syncFolder(path.dirname(coldFolder));
    signal.throwIfAborted();
    await becomeCold(folder, manifest);
    return manifest;
  } catch (error) {
    await rm(making, { recursive: true, force: true });
    throw error;
  }
}

/**
 * Once the stub stands it is cold, also when nobody knows whether a power cut would leave it: both homes
 * hold the same until the next write, and that has to bring it back first.
 */
async function becomeCold(folder: string, manifest: ColdManifest): Promise<void> {
  const stub = path.join(folder, STUB_FILE);
  try {
    await writeWhole(stub, manifest);
    await removeHotFiles(folder);
  } catch (error) {
    if (existsSync(stub)) return;
    await rm(`${stub}.tmp`, { force: true });
    throw error;
  }
}

/**
 * Brings the files back, and leaves the cold folder, which is not its home any more. Throws what the file
 * system throws, and `DamagedData` when they are not what was packed; then it is cold, as before, and nobody
 * may write to it.
 */
export async function thawFolder(
  folder: string,
  coldFolder: string,
  { files }: ColdManifest,
): Promise<void> {
  for (const file of files) {
    const { name } = file;
    const source = path.join(coldFolder, name + PACKED);
    const target = path.join(folder, name);
    try {
      await unpacked(source, target + THAWING, file);
      await rename(target + THAWING, target);
    } catch (error) {
      await rm(target + THAWING, { force: true });
      if (!isOfCache(file, error)) throw error;
    }
  }
  syncFolder(folder);
  await rm(path.join(folder, STUB_FILE), { force: true });
  syncFolder(folder);
}

/** Whether all that is on the cold disk is what was packed; throws `DamagedData` when the rows are not, and resolves to
 * why when the image is not, which is a cache. */
export async function verifyCold(
  coldFolder: string,
  { files }: ColdManifest,
  signal?: AbortSignal,
): Promise<Error | undefined> {
  let cacheFault: Error | undefined;
  for (const file of files) {
    try {
      await unpacked(path.join(coldFolder, file.name + PACKED), undefined, file, signal);
    } catch (error) {
      if (!isOfCache(file, error)) throw error;
      cacheFault = error;
    }
  }
  return cacheFault;
}

/** Whether it is the image alone that is damaged or gone. Rows come first: with the disk they are gone, too. */
function isOfCache({ name }: Packed, error: unknown): error is Error {
  const isGone = (error as NodeJS.ErrnoException).code === 'ENOENT';
  return name === IMAGE_FILE && (isGone || error instanceof DamagedData);
}

/** When all that is cold was last known to be what was packed, in milliseconds since 1970. */
export async function verifiedAt(folder: string): Promise<number> {
  return (await stat(path.join(folder, STUB_FILE))).mtimeMs;
}

/** It was at that time: the stub's says so, also after a restart. */
export async function noteVerified(folder: string, at: number): Promise<void> {
  await utimes(path.join(folder, STUB_FILE), new Date(at), new Date(at));
}

/** What is cold of the shard in this folder, after removing what an interrupted move has left in the
 * other home; undefined when it is hot. Throws `DamagedData` when neither says what is there. */
export async function settleHome(
  folder: string,
  coldFolder: string,
  versionOf: (folder: string) => number,
): Promise<ColdManifest | undefined> {
  await rm(path.join(folder, `${STUB_FILE}.tmp`), { force: true });
  if (!existsSync(path.join(folder, STUB_FILE))) {
    return settleStubless(folder, coldFolder, versionOf);
  }
  const stub = await readWhole(path.join(folder, STUB_FILE));
  const manifest = stub ?? (await readWhole(path.join(coldFolder, MANIFEST_FILE)));
  if (manifest === undefined) throw new DamagedData(`${STUB_FILE} and ${MANIFEST_FILE}`);
  await removeHotFiles(folder);
  return manifest;
}

/** Without its rows it is not hot, whoever lost the stub: what is cold is the only copy then. */
async function settleStubless(
  folder: string,
  coldFolder: string,
  versionOf: (folder: string) => number,
): Promise<ColdManifest | undefined> {
  const isHot = existsSync(path.join(folder, ROWS_FILE));
  if (isHot && !existsSync(coldFolder)) return undefined;
  const manifest = await readWhole(path.join(coldFolder, MANIFEST_FILE));
  if (isHot) {
    // Rows that are older than it come from a backup: it is left until the shard is frozen again.
    const isNewer = manifest !== undefined && manifest.held.version > versionOf(folder);
    if (!isNewer) await removeShardFolder(coldFolder);
    return undefined;
  }
  if (manifest !== undefined) await writeWhole(path.join(folder, STUB_FILE), manifest);
  return manifest;
}

/** In bytes, on the cold disk. */
export function coldBytes({ files }: ColdManifest): number {
  return files.reduce((sum, { packedBytes }) => sum + packedBytes, 0);
}

/** What is in the log would be lost; whoever still reads the database keeps it from being folded. */
async function requireFolded(folder: string): Promise<void> {
  const log = path.join(folder, `${ROWS_FILE}-wal`);
  if (!existsSync(log) || (await stat(log)).size === 0) return;
  throw new AppError('unavailable', undefined, { detail: 'the database is in use' });
}

async function removeHotFiles(folder: string): Promise<void> {
  const left = [...HOT_FILES, ROWS_FILE + THAWING, IMAGE_FILE + THAWING];
  for (const name of left) await rm(path.join(folder, name), { force: true });
  syncFolder(folder);
}

async function unpacked(
  source: string,
  target: string | undefined,
  file: Packed,
  signal?: AbortSignal,
): Promise<void> {
  try {
    await unpack(source, target, file, signal);
  } catch (error) {
    if (!(error instanceof WrongDigest)) throw error;
    throw new DamagedData(`the cold ${error.message}`, { cause: error });
  }
}

/** After a crash the file is there as a whole or not at all. */
async function writeWhole(file: string, manifest: ColdManifest): Promise<void> {
  const text = JSON.stringify(manifest);
  await using handle = await open(`${file}.tmp`, 'w', 0o600);
  await handle.writeFile(JSON.stringify({ format: FORMAT, sha256: digestOf(text), manifest }));
  await handle.sync();
  await rename(`${file}.tmp`, file);
  syncFolder(path.dirname(file));
}

/** Undefined when it is not there, or not what was written. */
async function readWhole(file: string): Promise<ColdManifest | undefined> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { format, sha256, manifest } = JSON.parse(text) as Record<string, unknown>;
    const isRight = format === FORMAT && sha256 === digestOf(JSON.stringify(manifest));
    return isRight ? (manifest as ColdManifest) : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function digestOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
