/**
 * What a row adds to its shard's digest: 52 bits of its id and version. A shard's digest is the sum
 * over its rows modulo 2^52, so it does not depend on their order or labels, a write changes it by
 * what it changes, and two replicas of the same version, points, bytes and digest hold the same rows:
 * a version says what a row holds. By chance two different shards have the same digest once in 2^52.
 *
 *   h(key, version) = upper 20 bits of lane 1, lower 32 bits of lane 2
 *   lane n          = MurmurHash3_x86_32 (Appleby, public domain) with its own seed, of
 *                     version as u64 little-endian | key's bytes from the second on | key[0]
 *
 * The key is that of `pointIdToKey`, 9 or 17 bytes, so that everything but its first byte is whole
 * words. 52 bits and not 53: the sum of two of them is still an exact number. It keeps nobody out who
 * wants two shards to look alike: who can write a row can write the right one.
 */

const TWO_32 = 2 ** 32;
const MODULUS = 2 ** 52;
const SEED_HIGH = 0x9747b28c;
const SEED_LOW = 0x3c6ef372;
const C1 = 0xcc9e2d51;
const C2 = 0x1b873593;
const VERSION_BYTES = 8;

/** `version` is a whole number below 2^53. */
export function rowDigest(key: Uint8Array, version: number): number {
  const words = (key.length - 1) >> 2;
  const versionLow = scramble(version | 0);
  const versionHigh = scramble((version / TWO_32) | 0);
  let high = mix(mix(SEED_HIGH, versionLow), versionHigh);
  let low = mix(mix(SEED_LOW, versionLow), versionHigh);
  for (let i = 0, at = 1; i < words; i += 1, at += 4) {
    const word = scramble(
      (key[at] as number) |
        ((key[at + 1] as number) << 8) |
        ((key[at + 2] as number) << 16) |
        ((key[at + 3] as number) << 24),
    );
    high = mix(high, word);
    low = mix(low, word);
  }
  const tail = scramble(key[0] as number);
  const length = VERSION_BYTES + key.length;
  return (finish(high ^ tail ^ length) >>> 12) * TWO_32 + (finish(low ^ tail ^ length) >>> 0);
}

/** The digest of a shard once a row that adds `out` has become one that adds `into`. */
export function movedDigest(digest: number, out: number, into: number): number {
  const sum = digest - out + into;
  if (sum < 0) return sum + MODULUS;
  return sum >= MODULUS ? sum - MODULUS : sum;
}

function scramble(word: number): number {
  const k = Math.imul(word, C1);
  return Math.imul((k << 15) | (k >>> 17), C2);
}

function mix(lane: number, word: number): number {
  const h = lane ^ word;
  return (Math.imul((h << 13) | (h >>> 19), 5) + 0xe6546b64) | 0;
}

function finish(lane: number): number {
  let h = lane;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
