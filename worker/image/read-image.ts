/**
 * Reads and verifies an image (format: `image.ts`). Bad bytes never throw: they are a reason.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import {
  checkFixedHeader,
  DIGEST_BYTES,
  decodeSectionTable,
  decodeState,
  FIXED_HEADER_BYTES,
  headerBytes,
  IMAGE_FILE,
  IMAGE_PART_PREFIX,
  IMAGE_TMP_FILE,
  type ImageIdentity,
  type ImageSection,
  type SectionEntry,
  SLICE_BYTES,
} from './image.ts';
import { writeAll } from './write-image.ts';

export type ImageRead =
  | {
      kind: 'ok';
      appliedVersion: number;
      levellings: number;
      sections: ImageSection[];
      /** Removes the private files. Call once the sections have been read. */
      release(): Promise<void>;
    }
  | { kind: 'absent' }
  | { kind: 'refused'; reason: string };

/**
 * The image in `folder`, verified to the last byte, if it is one of `expected`. Leftovers of
 * interrupted writes and reads are removed first, so one caller at a time per folder.
 */
export async function readImage(folder: string, expected: ImageIdentity): Promise<ImageRead> {
  try {
    await removeLeftovers(folder);
    const file = path.join(folder, IMAGE_FILE);
    const handle = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW);
    try {
      return await readHandle(folder, handle, expected);
    } finally {
      await handle.close();
    }
  } catch (error) {
    // The disk may be unreadable, or too full for the private files. The rows are still there.
    const code = error instanceof Error && 'code' in error ? String(error.code) : undefined;
    if (code === undefined) throw error;
    return code === 'ENOENT' ? { kind: 'absent' } : { kind: 'refused', reason: `disk: ${code}` };
  }
}

async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const leftover = name === IMAGE_TMP_FILE || name.startsWith(IMAGE_PART_PREFIX);
    if (leftover) await rm(path.join(folder, name), { force: true });
  }
}

async function readHandle(
  folder: string,
  handle: FileHandle,
  expected: ImageIdentity,
): Promise<ImageRead> {
  const stat = await handle.stat();
  if (!stat.isFile()) return refused('not a file');
  if (stat.size < headerBytes(1) + DIGEST_BYTES) return refused('a wrong length');
  const input = new ImageInput(handle);
  const fixed = await input.take(FIXED_HEADER_BYTES);
  if (fixed === undefined) return refused('cut short');
  const sectionCount = checkFixedHeader(fixed, expected);
  if (typeof sectionCount === 'string') return refused(sectionCount);
  const table = await input.take(headerBytes(sectionCount) - FIXED_HEADER_BYTES);
  if (table === undefined) return refused('cut short');
  const entries = decodeSectionTable(table, stat.size);
  if (typeof entries === 'string') return refused(entries);
  return await readSections(folder, input, entries, decodeState(fixed));
}

async function readSections(
  folder: string,
  input: ImageInput,
  entries: readonly SectionEntry[],
  state: ReturnType<typeof decodeState>,
): Promise<ImageRead> {
  const sections: ImageSection[] = [];
  const release = async () => {
    for (const section of sections) if ('file' in section) await rm(section.file, { force: true });
  };
  let verified = false;
  try {
    for (const entry of entries) {
      const { name, byteLength } = entry;
      if (entry.kind === 'bytes') {
        const bytes = await input.take(byteLength);
        if (bytes === undefined) return refused('cut short');
        sections.push({ name, byteLength, pieces: [bytes] });
      } else {
        const file = path.join(folder, `${IMAGE_PART_PREFIX}${name}`);
        sections.push({ name, file });
        if (!(await input.copyTo(file, byteLength))) return refused('cut short');
      }
    }
    if (!(await input.digestMatches())) return refused('a wrong checksum');
    verified = true;
    return { kind: 'ok', ...state, sections, release };
  } finally {
    if (!verified) await release();
  }
}

function refused(reason: string): ImageRead {
  return { kind: 'refused', reason };
}

/** Reads a file from its start and hashes what it reads. */
class ImageInput {
  readonly #handle: FileHandle;
  readonly #hash = createHash('sha256');

  constructor(handle: FileHandle) {
    this.#handle = handle;
  }

  /** The next `count` bytes in memory of their own, or undefined when there are fewer. */
  async take(count: number): Promise<Buffer | undefined> {
    // Not zeroed first: for 60 MB that would hold the event loop for tens of milliseconds.
    const bytes = Buffer.allocUnsafeSlow(count);
    for (let at = 0; at < count; at += SLICE_BYTES) {
      const slice = bytes.subarray(at, at + SLICE_BYTES);
      if (!(await this.#fill(slice))) return undefined;
      this.#hash.update(slice);
    }
    return bytes;
  }

  /** Copies the next `count` bytes into a new private file; false when there are fewer. */
  async copyTo(file: string, count: number): Promise<boolean> {
    const target = await open(file, 'wx', 0o600);
    try {
      const buffer = Buffer.allocUnsafe(Math.min(count, SLICE_BYTES));
      for (let left = count; left > 0; left -= buffer.length) {
        const slice = buffer.subarray(0, Math.min(left, buffer.length));
        if (!(await this.#fill(slice))) return false;
        this.#hash.update(slice);
        await writeAll(target, slice, slice.length);
      }
      return true;
    } finally {
      await target.close();
    }
  }

  /** Whether the last bytes are the digest of all before. */
  async digestMatches(): Promise<boolean> {
    const stored = Buffer.alloc(DIGEST_BYTES);
    if (!(await this.#fill(stored))) return false;
    return stored.equals(this.#hash.digest());
  }

  async #fill(target: Buffer): Promise<boolean> {
    let at = 0;
    while (at < target.length) {
      const { bytesRead } = await this.#handle.read(target, at, target.length - at, null);
      if (bytesRead === 0) return false;
      at += bytesRead;
    }
    return true;
  }
}
