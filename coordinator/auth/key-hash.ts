import xxhash from 'xxhash-wasm';

/** Picks the cache slot of a key. Says nothing about identity: any two keys may share a slot. */
export type KeyHash = (key: string) => bigint;

/**
 * xxHash64 with a seed that is random per process, so that nobody outside can choose keys which
 * fall into one slot.
 */
export async function createKeyHash(bytes: (count: number) => Uint8Array): Promise<KeyHash> {
  const { h64 } = await xxhash();
  const seed = Buffer.from(bytes(8)).readBigUInt64LE();
  return (key) => h64(key, seed);
}
