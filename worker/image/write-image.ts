/**
 * Writes an image (format: `image.ts`). Sections are copied slice by slice before they are hashed
 * and written, because vectors may change meanwhile; the event loop breathes between slices.
 */
import { createHash, type Hash } from 'node:crypto';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { assert } from '../../shared/base/assert.ts';
import { AppError } from '../../shared/errors/app-error.ts';
import {
  encodeHeader,
  IMAGE_FILE,
  IMAGE_TMP_FILE,
  type ImageMeta,
  type ImageSection,
  SECTIONS_MAX,
  type SectionEntry,
  SLICE_BYTES,
} from './image.ts';

/**
 * Replaces the image in `folder`; on disk when the promise resolves. Returns the image's bytes.
 * Throws `AppError('insufficient_storage')` on a full disk, the system's error otherwise; the old
 * image then stands untouched.
 */
export async function writeImage(
  folder: string,
  meta: ImageMeta,
  sections: readonly ImageSection[],
): Promise<number> {
  assert(sections.length >= 1 && sections.length <= SECTIONS_MAX, 'an image has 1 to 16 sections');
  const tmp = path.join(folder, IMAGE_TMP_FILE);
  await rm(tmp, { force: true });
  try {
    const bytes = await writeTmp(tmp, meta, sections);
    await rename(tmp, path.join(folder, IMAGE_FILE));
    await syncFolder(folder);
    return bytes;
  } catch (error) {
    await rm(tmp, { force: true });
    throw diskFailure(error);
  }
}

/** Removes the image, if there is one; gone for good when the promise resolves. */
export async function removeImage(folder: string): Promise<void> {
  await rm(path.join(folder, IMAGE_FILE), { force: true });
  await syncFolder(folder);
}

async function writeTmp(
  tmp: string,
  meta: ImageMeta,
  sections: readonly ImageSection[],
): Promise<number> {
  const handle = await open(tmp, 'wx', 0o600);
  try {
    const out = new ImageOutput(handle);
    const entries = await Promise.all(sections.map(entryOf));
    await out.write(encodeHeader(meta, entries));
    for (const [at, section] of sections.entries()) {
      const start = out.bytes;
      if ('file' in section) await out.copyFile(section.file);
      else for (const piece of section.pieces) await out.write(piece);
      const written = out.bytes - start;
      assert(written === entries[at]?.byteLength, 'a section is as long as it was announced');
    }
    await out.finish();
    await handle.sync();
    return out.bytes;
  } finally {
    await handle.close();
  }
}

async function entryOf(section: ImageSection): Promise<SectionEntry> {
  if ('pieces' in section) {
    return { name: section.name, kind: 'bytes', byteLength: section.byteLength };
  }
  const handle = await open(section.file, 'r');
  try {
    return { name: section.name, kind: 'file', byteLength: (await handle.stat()).size };
  } finally {
    await handle.close();
  }
}

/** Appends to a file and hashes what it appends. */
class ImageOutput {
  bytes = 0;
  readonly #handle: FileHandle;
  readonly #hash: Hash = createHash('sha256');
  readonly #slice = Buffer.allocUnsafe(SLICE_BYTES);

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  async write(piece: Uint8Array): Promise<void> {
    for (let at = 0; at < piece.length; at += SLICE_BYTES) {
      const part = piece.subarray(at, at + SLICE_BYTES);
      this.#slice.set(part);
      await this.#append(part.length);
    }
  }

  async copyFile(file: string): Promise<void> {
    const source = await open(file, 'r');
    try {
      for (;;) {
        const { bytesRead } = await source.read(this.#slice, 0, SLICE_BYTES, null);
        if (bytesRead === 0) return;
        await this.#append(bytesRead);
      }
    } finally {
      await source.close();
    }
  }

  async finish(): Promise<void> {
    const digest = this.#hash.digest();
    await writeAll(this.#handle, digest, digest.length);
    this.bytes += digest.length;
  }

  async #append(count: number): Promise<void> {
    this.#hash.update(this.#slice.subarray(0, count));
    await writeAll(this.#handle, this.#slice, count);
    this.bytes += count;
  }
}

/** A write may be cut short by the system (a full disk does that first). */
export async function writeAll(handle: FileHandle, bytes: Buffer, count: number): Promise<void> {
  let at = 0;
  while (at < count) at += (await handle.write(bytes, at, count - at, null)).bytesWritten;
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function diskFailure(error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return error;
  return new AppError('insufficient_storage', undefined, { detail: 'index image', cause: error });
}
