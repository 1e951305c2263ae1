/**
 * A file on its way to the cold disk and back: compressed with Zstandard (RFC 8878), and known by the
 * SHA-256 of both forms. What is written is on the disk when a promise resolves.
 */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createZstdCompress, createZstdDecompress } from 'node:zlib';

/** Read, hashed and compressed at a time: under a millisecond of the thread that searches. */
const SLICE_BYTES = 512 * 1024;

/** Of a file and its packed form. */
export interface Packed {
  /** Without a folder. */
  name: string;
  bytes: number;
  /** SHA-256, hex. */
  digest: string;
  packedBytes: number;
  packedDigest: string;
}

/** The file is not what was packed. */
export class WrongDigest extends Error {
  override readonly name = 'WrongDigest';
}

/** Packs `source` into `target`, which may not be there. Throws what the file system throws, and an `AbortError`. */
export async function pack(source: string, target: string, signal: AbortSignal) {
  const raw = new Tally();
  const packed = new Tally();
  await using handle = await open(target, 'wx', 0o600);
  const from = createReadStream(source, { highWaterMark: SLICE_BYTES });
  await pipeline(raw.of(from), createZstdCompress(), packed.into(handle), { signal });
  await handle.sync();
  return { ...raw.total(), packedBytes: packed.bytes, packedDigest: packed.digest() };
}

/**
 * Unpacks `source` into `target`, or into nothing, to see that it can be. Throws `WrongDigest`, what the
 * file system throws, and an `AbortError`.
 */
export async function unpack(
  source: string,
  target: string | undefined,
  expected: Packed,
  signal?: AbortSignal,
): Promise<void> {
  const raw = new Tally();
  const packed = new Tally();
  await using handle = target === undefined ? undefined : await open(target, 'w', 0o600);
  const from = createReadStream(source, { highWaterMark: SLICE_BYTES });
  const into = raw.into(handle, expected.bytes);
  const options = signal === undefined ? {} : { signal };
  try {
    await pipeline(packed.of(from), createZstdDecompress(), into, options);
  } catch (error) {
    throw isZstdError(error) ? new WrongDigest(`${expected.name}: ${error.code}`) : error;
  }
  const isRight = packed.digest() === expected.packedDigest && raw.digest() === expected.digest;
  if (!isRight) throw new WrongDigest(`${expected.name} is not what was packed`);
  await handle?.sync();
}

function isZstdError(error: unknown): error is { code: string } {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' && /^(?:ZSTD|ERR_ZLIB|Z)_/.test(code);
}

/** Counts and hashes what passes. */
class Tally {
  bytes = 0;
  readonly #hash: Hash = createHash('sha256');

  async *of(chunks: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    for await (const chunk of chunks) {
      this.#add(chunk);
      yield chunk;
    }
  }

  /** Where it ends: in a file, or nowhere. More than `bytesMax` is refused: it can not be the file. */
  into(handle: FileHandle | undefined, bytesMax = Number.POSITIVE_INFINITY): Writable {
    const write = async (chunk: Buffer) => {
      this.#add(chunk);
      if (this.bytes > bytesMax) throw new WrongDigest('it is longer than what was packed');
      await handle?.writeFile(chunk);
    };
    return new Writable({
      highWaterMark: SLICE_BYTES,
      write: (chunk: Buffer, _encoding, done) => {
        write(chunk).then(() => done(), done);
      },
    });
  }

  #add(chunk: Buffer): void {
    this.bytes += chunk.length;
    this.#hash.update(chunk);
  }

  /** Once. */
  digest(): string {
    return this.#hash.digest('hex');
  }

  total(): { bytes: number; digest: string } {
    return { bytes: this.bytes, digest: this.digest() };
  }
}
