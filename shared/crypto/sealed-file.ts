/** Reads a sealed file (`census-seal.ts`) once, a piece at a time, for what its seal is held against. */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { SEAL_BYTES } from './census-seal.ts';

export interface SealedDigests {
  /** SHA-256 of the whole file, in hex. */
  sha256: string;
  /** The same of what is before its seal. */
  content: string;
  /** The last bytes: the seal, if there is one. */
  frame: Buffer;
}

/** Throws what the file system throws. */
export async function digestSealedFile(path: string): Promise<SealedDigests> {
  await using handle = await open(path, 'r');
  const { size } = await handle.stat();
  const contentBytes = Math.max(0, size - SEAL_BYTES);
  const digest = createHash('sha256');
  if (contentBytes > 0) {
    const content = handle.createReadStream({ start: 0, end: contentBytes - 1, autoClose: false });
    for await (const chunk of content as AsyncIterable<Buffer>) digest.update(chunk);
  }
  const content = digest.copy().digest('hex');
  const frame = Buffer.alloc(size - contentBytes);
  await handle.read(frame, 0, frame.length, contentBytes);
  return { sha256: digest.update(frame).digest('hex'), content, frame };
}
