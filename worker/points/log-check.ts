/**
 * Whether a write-ahead log that another process left has lost something in its middle. SQLite checks
 * each frame of a log, and takes the first one that is not right for the end: that is where a power cut
 * has torn the last transaction, which nobody was told of. But a bit that changed in an older one looks
 * the same, and everything from there on, acknowledged, is gone without a word.
 *
 *   [t1 t1 T1][t2 t2 T2][t3 x3 T3]                       a frame is wrong in the last transaction: torn
 *   [t1 x1 T1][t2 t2 T2][t3 t3 T3]                       and here something follows it: damaged
 *
 * A transaction is written when the one before has been synced. So where a transaction follows the one
 * with the wrong frame, that one was whole on the disk. (A wrong frame in the last one can not be told
 * from a torn one; replicas and their versions can.)
 *
 * Format (sqlite.org/fileformat2.html#walformat): a header of 32 bytes, then frames of 24 bytes and a page;
 * salts in both say which frames are of this log and not left of one before; two sums run over header
 * and frames, two words at a time, here in the byte order of the machine.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { POINTS_FILE } from './schema.ts';
import { DamagedData } from './storage-errors.ts';

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
/** Of a log whose sums are over little-endian words. */
const MAGIC = 0x377f0682;
const SUMMED_OF_HEADER = 24;
const SUMMED_OF_FRAME = 8;
const SECTOR_BYTES = 512;

/** Throws `DamagedData`. No connection of this process may be writing to the log. */
export function checkLog(folder: string): void {
  const bytes = read(path.join(folder, `${POINTS_FILE}-wal`));
  if (bytes === undefined || bytes.length < HEADER_BYTES) return;
  if (bytes.subarray(0, HEADER_BYTES).every((byte) => byte === 0)) return;
  const log = new Log(bytes);
  if (!log.hasHeader) throw new DamagedData('the header of the log');
  const wrong = log.firstWrong();
  if (wrong === undefined) return;
  const end = log.commitFrom(wrong);
  if (end !== undefined && log.hasFrameFrom(end + 1)) throw new DamagedData('the log');
}

class Log {
  readonly #words: Uint32Array;
  readonly #view: DataView;
  readonly #frames: number;
  readonly #frameBytes: number;
  #sums: readonly [number, number] = [0, 0];

  constructor(bytes: Buffer) {
    const { buffer, byteOffset, length } = bytes;
    this.#words = new Uint32Array(buffer, byteOffset, length >> 2);
    this.#view = new DataView(buffer, byteOffset, length);
    this.#frameBytes = FRAME_HEADER_BYTES + this.#view.getUint32(8);
    this.#frames = Math.floor((length - HEADER_BYTES) / this.#frameBytes);
  }

  get hasHeader(): boolean {
    if (this.#view.getUint32(0) !== MAGIC) return false;
    this.#sum(0, SUMMED_OF_HEADER);
    return this.#isSummed(SUMMED_OF_HEADER);
  }

  /** The first frame that is not right, though it is of this log or followed by one that is. */
  firstWrong(): number | undefined {
    for (let frame = 0; frame < this.#frames; frame += 1) {
      if (!this.#isRight(frame)) return frame;
    }
    return undefined;
  }

  /** The first frame from `wrong` on that ends a transaction, the wrong one by what can be seen of it. */
  commitFrom(wrong: number): number | undefined {
    if (this.#wasOurs(wrong) && this.#isCommit(wrong)) return wrong;
    for (let at = wrong; at < this.#frames; at += 1) {
      if (this.#isOurs(at) && this.#isCommit(at)) return at;
    }
    return undefined;
  }

  hasFrameFrom(frame: number): boolean {
    for (let at = frame; at < this.#frames; at += 1) if (this.#isOurs(at)) return true;
    return false;
  }

  #start(frame: number): number {
    return HEADER_BYTES + frame * this.#frameBytes;
  }

  #isCommit(frame: number): boolean {
    return this.#view.getUint32(this.#start(frame) + 4) !== 0;
  }

  #isOurs(frame: number): boolean {
    const start = this.#start(frame);
    if (this.#view.getUint32(start + 8) !== this.#view.getUint32(16)) return false;
    return this.#view.getUint32(start + 12) === this.#view.getUint32(20);
  }

  /**
   * Whether one bit at most is wrong in its salts: those of a log before differ in many. What stands on
   * both sides of a sector's end may be half of such a frame, and says nothing.
   */
  #wasOurs(frame: number): boolean {
    const inSector = this.#start(frame) % SECTOR_BYTES;
    return inSector + FRAME_HEADER_BYTES <= SECTOR_BYTES && this.#saltBits(frame) <= 1;
  }

  /** In how many bits the salts of a frame are not those of the log. */
  #saltBits(frame: number): number {
    const salts = this.#view.getBigUint64(this.#start(frame) + 8);
    const other = (salts ^ this.#view.getBigUint64(16)).toString(2);
    return other.replaceAll('0', '').length;
  }

  #isRight(frame: number): boolean {
    const start = this.#start(frame);
    if (!this.#isOurs(frame)) return false;
    this.#sum(start, SUMMED_OF_FRAME);
    this.#sum(start + FRAME_HEADER_BYTES, this.#frameBytes - FRAME_HEADER_BYTES);
    return this.#isSummed(start + 16);
  }

  /** Whether the sums so far stand at `at`. */
  #isSummed(at: number): boolean {
    return (
      this.#sums[0] === this.#view.getUint32(at) && this.#sums[1] === this.#view.getUint32(at + 4)
    );
  }

  #sum(from: number, bytes: number): void {
    let [a, b] = this.#sums;
    const end = (from + bytes) >> 2;
    for (let at = from >> 2; at < end; at += 2) {
      a = (a + (this.#words[at] as number) + b) >>> 0;
      b = (b + (this.#words[at + 1] as number) + a) >>> 0;
    }
    this.#sums = [a, b];
  }
}

/** Memory of its own, so that words are aligned. */
function read(file: string): Buffer | undefined {
  try {
    return Buffer.from(new Uint8Array(readFileSync(file)).buffer);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
