/**
 * Two checksums of 32 bits a row, by which a row is known that the disk has changed: SQLite keeps none
 * of its pages. Each is over what stands in the row and in no other, so that a row that has come under
 * another label or id is known as well, and any single bit that is wrong.
 *
 *   payload_check   CRC-32 of the payload's bytes, begun with the seed, xor the version's mix
 *   vector_check    CRC-32 of the vector's bytes, begun with the seed
 *   seed            FNV-1a of the id's key, and of the label
 *
 * They are two since a search reads payloads and no vectors, and a vector may be many pages; and the
 * version is mixed in by xor so that a new vector under a new version does not take reading the
 * payload. An absent payload is the complement of the seed. All steps are one to one in what they take
 * last, so one changed bit changes the result.
 */
import { crc32 } from 'node:zlib';

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;
const TWO_32 = 2 ** 32;

/** Of the key of a point's id and the point's label. */
export function rowSeed(key: Uint8Array, label: number): number {
  let hash = FNV_OFFSET;
  for (let i = 0; i < key.length; i += 1) hash = step(hash, key[i] as number);
  return step(hash, label) >>> 0;
}

/** The same for the key as hexadecimal digits in upper case. */
export function rowSeedOfHex(hex: string, label: number): number {
  let hash = FNV_OFFSET;
  for (let i = 0; i < hex.length; i += 2) {
    hash = step(hash, (nibble(hex.charCodeAt(i)) << 4) | nibble(hex.charCodeAt(i + 1)));
  }
  return step(hash, label) >>> 0;
}

/** A signed integer of 32 bits. */
export function payloadCheck(seed: number, version: number, payload: Uint8Array | null): number {
  return (payload === null ? ~seed : crc32(payload, seed)) ^ versionMix(version);
}

/** The check of the same payload under another version. */
export function movedPayloadCheck(check: number, from: number, to: number): number {
  return check ^ versionMix(from) ^ versionMix(to);
}

/** A signed integer of 32 bits. */
export function vectorCheck(seed: number, vector: Uint8Array): number {
  return crc32(vector, seed) | 0;
}

function step(hash: number, value: number): number {
  return Math.imul(hash ^ value, FNV_PRIME);
}

function nibble(code: number): number {
  return code < 65 ? code - 48 : code - 55;
}

function versionMix(version: number): number {
  const low = Math.imul(version | 0, 0x9e3779b1);
  return low ^ Math.imul((version / TWO_32) | 0, 0x85ebca6b);
}
