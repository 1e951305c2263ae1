/**
 * Which shard of its collection a point belongs to. The answer is truth on disk: a point that was
 * stored by one rule is not found by another, so what is here never changes for collections that
 * are there; a known-answer test pins it.
 *
 *   key = pointIdToKey(id)             9 or 17 bytes
 *   h   = MurmurHash3_x86_32(key, 0)   A. Appleby, 2011 (SMHasher, MurmurHash3.cpp)
 *   s   = jump(h, shards)              J. Lamping and E. Veach, "A Fast, Minimal Memory, Consistent
 *                                      Hash Algorithm", 2014, figure 1
 *
 * Jump hashing gives each shard the same share, and of n + 1 shards instead of n only the last gets
 * points that others had. It draws from a generator that is seeded with the key: in the paper a
 * linear congruential one of 64 bits, which JavaScript has only as bigints; here the 32-bit
 * finaliser of MurmurHash3 over `h` and a counter, which takes a tenth of the time.
 */
import { assert } from '../base/assert.ts';
import { type PointId, pointIdToKey } from './point.ts';

const BLOCK_BYTES = 4;
/** 2^32 / golden ratio, odd: steps of the counter that fall all over the range. */
const COUNTER_STEP = 0x9e3779b9;

/** The ordinal of the point's shard, of `shards` >= 1. */
export function shardOfPoint(id: PointId, shards: number): number {
  assert(Number.isInteger(shards) && shards >= 1, 'a collection has a shard');
  if (shards === 1) return 0;
  let seed = murmur3(pointIdToKey(id));
  let shard = 0;
  for (;;) {
    seed = (seed + COUNTER_STEP) | 0;
    const draw = ((finalise(seed) >>> 0) + 1) / 2 ** 32;
    const next = Math.floor((shard + 1) / draw);
    if (next >= shards) return shard;
    shard = next;
  }
}

/** MurmurHash3_x86_32 with seed 0, as a signed integer. */
export function murmur3(bytes: Uint8Array): number {
  let hash = 0;
  const end = bytes.length - (bytes.length % BLOCK_BYTES);
  for (let at = 0; at < end; at += BLOCK_BYTES) {
    const low = (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
    const high = ((bytes[at + 2] as number) << 16) | ((bytes[at + 3] as number) << 24);
    hash ^= scramble(low | high);
    hash = (hash << 13) | (hash >>> 19);
    hash = (Math.imul(hash, 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let at = bytes.length - 1; at >= end; at -= 1) tail = (tail << 8) | (bytes[at] as number);
  return finalise(hash ^ scramble(tail) ^ bytes.length);
}

function scramble(block: number): number {
  const product = Math.imul(block, 0xcc9e2d51);
  return Math.imul((product << 15) | (product >>> 17), 0x1b873593);
}

function finalise(hash: number): number {
  let mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}
