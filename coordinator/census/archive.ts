/**
 * The folder of the archives of censuses. A file stands under its name whole and sealed or not at all
 * (`shared/crypto/census-seal.ts`):
 *
 *   NAME.tmp --all written, synced--> renamed to NAME --folder synced--> it is there
 *
 *   2026-11-27.jsonl.zst      of a day; `2026-11-27.01.jsonl.zst`: the first one on demand
 *   2026-11-27.draft          the census of that day as far as it is, in the same form and under its own seal
 *
 * What a crash has left under `.tmp` is removed at the next start.
 */
import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { StringDecoder } from 'node:string_decoder';
import { createZstdCompress, createZstdDecompress, constants as zlib } from 'node:zlib';
import { makeFolderDurably, syncFolder } from '../../shared/base/durable-folder.ts';
import { type CensusSeal, sealFrame, sealProblem } from '../../shared/crypto/census-seal.ts';
import { digestSealedFile } from '../../shared/crypto/sealed-file.ts';
import type { CensusLine } from './lines.ts';

const TEMPORARY = '.tmp';
const DRAFT = '.draft';
/** Of JSON that is handed to the compressor at once. */
const BLOCK_CHARS = 64 * 1024;

/** An archive is not what was sealed, or can not be read. */
export class BrokenArchive extends Error {
  constructor(file: string, problem: string, options?: ErrorOptions) {
    super(`${file}: ${problem}`, options);
  }
}

export class CensusArchive {
  readonly #folder: string;
  readonly #key: KeyObject;
  readonly #publicKey: KeyObject;

  /** `key` is private, of Ed25519. */
  constructor({ folder, key }: { folder: string; key: KeyObject }) {
    this.#folder = folder;
    this.#key = key;
    this.#publicKey = createPublicKey(key);
  }

  /** Makes the folder, and removes what a crash has left. */
  async start(): Promise<void> {
    makeFolderDurably(this.#folder);
    for (const file of await readdir(this.#folder)) {
      if (file.endsWith(TEMPORARY)) await this.remove(file);
    }
  }

  /** Archives that are there, drafts not, in the order of their names. */
  async files(): Promise<string[]> {
    const files = await readdir(this.#folder);
    return files.filter((file) => file.endsWith('.jsonl.zst')).toSorted();
  }

  /** Days of which there is a draft. */
  async drafts(): Promise<string[]> {
    const files = await readdir(this.#folder);
    return files.filter((file) => file.endsWith(DRAFT)).map((file) => file.slice(0, -DRAFT.length));
  }

  static draftOf(day: string): string {
    return day + DRAFT;
  }

  /** Writes and seals a file, in place of one of that name if there is one; durable when it resolves. */
  async write(seal: Omit<CensusSeal, 'sha256'>, lines: Iterable<CensusLine>): Promise<void> {
    const final = path.join(this.#folder, seal.file);
    const temporary = final + TEMPORARY;
    {
      await using handle = await open(temporary, 'w', 0o600);
      const digest = createHash('sha256');
      // A sum of the content in it, so that other tools notice damage, too.
      const compressor = createZstdCompress({ params: { [zlib.ZSTD_c_checksumFlag]: 1 } });
      await pipeline(Readable.from(blocksOf(lines)), compressor, async (chunks) => {
        for await (const chunk of chunks as AsyncIterable<Buffer>) {
          digest.update(chunk);
          await handle.writeFile(chunk);
        }
      });
      await handle.writeFile(sealFrame({ ...seal, sha256: digest.digest('hex') }, this.#key));
      await handle.sync();
    }
    await rename(temporary, final);
    syncFolder(this.#folder);
  }

  /** SHA-256 of a file as a whole, in hex, once its seal was found good. Throws `BrokenArchive`. */
  async check(file: string): Promise<string> {
    try {
      const { sha256, content, frame } = await digestSealedFile(path.join(this.#folder, file));
      const problem = sealProblem({ frame, sha256: content, file }, this.#publicKey);
      if (problem !== undefined) throw new BrokenArchive(file, problem);
      return sha256;
    } catch (error) {
      if (error instanceof BrokenArchive) throw error;
      throw new BrokenArchive(file, 'it can not be read', { cause: error });
    }
  }

  /** The lines of a file whose seal was checked. Throws `BrokenArchive`. */
  async *lines(file: string): AsyncIterable<CensusLine> {
    for await (const text of this.texts(file)) yield JSON.parse(text) as CensusLine;
  }

  /** The same as text. */
  async *texts(file: string): AsyncIterable<string> {
    const plain = createZstdDecompress();
    const input = createReadStream(path.join(this.#folder, file));
    input.on('error', (error) => plain.destroy(error)).pipe(plain);
    try {
      yield* linesIn(plain as AsyncIterable<Buffer>);
    } catch (error) {
      throw new BrokenArchive(file, 'it can not be read', { cause: error });
    } finally {
      input.destroy();
      plain.destroy();
    }
  }

  /** The bytes of a file, and how many; undefined when it is not there (any more). */
  async open(file: string): Promise<{ bytes: number; stream: Readable } | undefined> {
    const full = path.join(this.#folder, file);
    try {
      const { size } = await stat(full);
      return { bytes: size, stream: createReadStream(full) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  async remove(file: string): Promise<void> {
    await rm(path.join(this.#folder, file), { force: true });
    syncFolder(this.#folder);
  }
}

function* blocksOf(lines: Iterable<CensusLine>): Iterable<string> {
  let block = '';
  for (const line of lines) {
    block += `${JSON.stringify(line)}\n`;
    if (block.length < BLOCK_CHARS) continue;
    yield block;
    block = '';
  }
  yield block;
}

async function* linesIn(chunks: AsyncIterable<Buffer>): AsyncIterable<string> {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  for await (const chunk of chunks) {
    const lines = (rest + decoder.write(chunk)).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
  if (rest !== '') throw new Error('its last line has no end');
}
