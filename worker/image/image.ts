/**
 * The image of a shard's index: a cache in one file, `index.img`, which lets a shard open without
 * reading its rows. It is used whole or not at all; whatever is wrong with it, the index is built
 * from `points.db` instead.
 *
 * All integers are little-endian.
 *
 *      0  magic           8 bytes  "BHINDEX\0"
 *      8  format          u32      1
 *     12  sections        u32      how many (S), 1 to 16
 *     16  shard id        36 bytes UUID in ASCII: an image copied from another shard is refused
 *     52  dimension       u32
 *     56  distance        u32      0 Cosine, 1 Dot, 2 Euclid, 3 Manhattan
 *     60  levellings      u32      how many of those of `points.db` are in it (`points/schema.ts`)
 *     64  applied version u64      every write up to this version is in the image, but for
 *                                  levellings that came later
 *     72  section table   S x 32   name (16 bytes ASCII, zero-filled) | kind u32 | zero u32 |
 *                                  length u64;  kind 0 = bytes, 1 = file
 *         sections        one after another, no gaps, in the order of the table
 *   end-32 SHA-256        of every byte before
 *
 * A section of kind `file` is for code that can only read a path (hnswlib): `read-image.ts` copies
 * it into a private file while it computes the checksum, so that what the native code gets is what
 * was verified, and hands it out only when the checksum of the whole image is right.
 *
 * The file is written beside its place, fsynced and renamed (`write-image.ts`):
 *
 *   index.img.tmp --fsync--> rename to index.img --fsync folder--> done
 *
 * so a crash leaves the old image or the new one, and at most a stale `.tmp`, which is removed by
 * the next write or read.
 */
import { DISTANCES, type Distance } from '../../shared/domain/distance.ts';

export const IMAGE_FILE = 'index.img';
export const IMAGE_TMP_FILE = 'index.img.tmp';
/** Private copies of file sections while an image is opened. */
export const IMAGE_PART_PREFIX = 'index.img.part-';

export const DIGEST_BYTES = 32;
/** Image bytes are copied, hashed and written in slices: about a millisecond of hashing each. */
export const SLICE_BYTES = 2 ** 20;

const MAGIC = Buffer.from('BHINDEX\0', 'latin1');
const FORMAT = 1;
const SHARD_ID_BYTES = 36;
const NAME_BYTES = 16;
const SECTION_ENTRY_BYTES = 32;
export const SECTIONS_MAX = 16;
export const FIXED_HEADER_BYTES = 72;
const KIND_BYTES = 0;
const KIND_FILE = 1;

/** What an image is of. */
export interface ImageIdentity {
  shardId: string;
  dimension: number;
  distance: Distance;
}

export interface ImageMeta extends ImageIdentity {
  appliedVersion: number;
  levellings: number;
}

/** A part of an image: bytes in memory or a file. The bytes are copied as they are read. */
export type ImageSection =
  | { name: string; byteLength: number; pieces: Iterable<Uint8Array> }
  | { name: string; file: string };

/** An entry of the section table. */
export interface SectionEntry {
  name: string;
  kind: 'bytes' | 'file';
  byteLength: number;
}

export function headerBytes(sections: number): number {
  return FIXED_HEADER_BYTES + sections * SECTION_ENTRY_BYTES;
}

export function encodeHeader(meta: ImageMeta, entries: readonly SectionEntry[]): Buffer {
  const header = Buffer.alloc(headerBytes(entries.length));
  MAGIC.copy(header);
  header.writeUInt32LE(FORMAT, 8);
  header.writeUInt32LE(entries.length, 12);
  header.write(meta.shardId, 16, SHARD_ID_BYTES, 'latin1');
  header.writeUInt32LE(meta.dimension, 52);
  header.writeUInt32LE(DISTANCES.indexOf(meta.distance), 56);
  header.writeUInt32LE(meta.levellings, 60);
  header.writeBigUInt64LE(BigInt(meta.appliedVersion), 64);
  let at = FIXED_HEADER_BYTES;
  for (const entry of entries) {
    header.write(entry.name, at, NAME_BYTES, 'latin1');
    header.writeUInt32LE(entry.kind === 'file' ? KIND_FILE : KIND_BYTES, at + NAME_BYTES);
    header.writeBigUInt64LE(BigInt(entry.byteLength), at + NAME_BYTES + 8);
    at += SECTION_ENTRY_BYTES;
  }
  return header;
}

/** Number of sections, or why these first `FIXED_HEADER_BYTES` bytes are not an image of ours. */
export function checkFixedHeader(header: Buffer, expected: ImageIdentity): number | string {
  if (!header.subarray(0, MAGIC.length).equals(MAGIC)) return 'not an index image';
  if (header.readUInt32LE(8) !== FORMAT) return 'another format';
  if (header.toString('latin1', 16, 16 + SHARD_ID_BYTES) !== expected.shardId) {
    return 'another shard';
  }
  if (header.readUInt32LE(52) !== expected.dimension) return 'another dimension';
  if (DISTANCES[header.readUInt32LE(56)] !== expected.distance) return 'another distance';
  const sections = header.readUInt32LE(12);
  if (sections < 1 || sections > SECTIONS_MAX) return 'an impossible number of sections';
  return sections;
}

export function decodeState(header: Buffer): Pick<ImageMeta, 'appliedVersion' | 'levellings'> {
  return {
    appliedVersion: Number(header.readBigUInt64LE(64)),
    levellings: header.readUInt32LE(60),
  };
}

/** The section table, or why it can not be right for a file of `fileBytes`. */
export function decodeSectionTable(table: Buffer, fileBytes: number): SectionEntry[] | string {
  const entries: SectionEntry[] = [];
  let total = FIXED_HEADER_BYTES + table.length + DIGEST_BYTES;
  for (let at = 0; at < table.length; at += SECTION_ENTRY_BYTES) {
    const name = table.toString('latin1', at, at + NAME_BYTES).replace(/\0+$/, '');
    const kind = table.readUInt32LE(at + NAME_BYTES);
    const byteLength = Number(table.readBigUInt64LE(at + NAME_BYTES + 8));
    if (!/^[a-z-]{1,16}$/.test(name)) return 'an impossible section name';
    if (kind !== KIND_BYTES && kind !== KIND_FILE) return 'an impossible section kind';
    entries.push({ name, kind: kind === KIND_FILE ? 'file' : 'bytes', byteLength });
    total += byteLength;
  }
  return total === fileBytes ? entries : 'a wrong length';
}
