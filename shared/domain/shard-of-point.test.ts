import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../base/random.ts';
import { POINT_ID_MAX, type PointId, parsePointId } from './point.ts';
import { murmur3, shardOfPoint } from './shard-of-point.ts';

const UUID_ONE = '936da01f-9abd-4d9d-80c7-02af85c822a8';
const IDS: readonly PointId[] = [
  ...[0, 1, 2, 3, 255, 256, 2 ** 32, Number.MAX_SAFE_INTEGER, 2n ** 53n, POINT_ID_MAX],
  ...['0'.repeat(32), UUID_ONE, 'f'.repeat(32)].map((text) => parsePointId(text, '')),
];

test('the hash is MurmurHash3 as its author published it', () => {
  const known: [string, number][] = [
    ['', 0],
    ['a', 0x3c2569b2],
    ['abc', 0xb3dd93fa],
    ['hello', 0x248bfa47],
    ['hello, world', 0x149bbb7f],
    ['The quick brown fox jumps over the lazy dog', 0x2e4ff723],
  ];
  for (const [text, hash] of known) assert.equal(murmur3(Buffer.from(text)) >>> 0, hash, text);
});

/** Points are stored by these answers. A change here loses points of collections that are there. */
test('ids are in the shards that they were always in', () => {
  const known: Record<number, number[]> = {
    1: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    2: [1, 0, 0, 1, 1, 0, 0, 0, 1, 0, 0, 0, 1],
    3: [1, 0, 0, 1, 1, 0, 0, 2, 1, 0, 0, 0, 2],
    8: [1, 7, 0, 7, 3, 4, 7, 5, 3, 0, 5, 0, 2],
    64: [9, 21, 20, 18, 3, 58, 7, 5, 12, 36, 20, 11, 46],
  };
  for (const [shards, expected] of Object.entries(known)) {
    assert.deepEqual(
      IDS.map((id) => shardOfPoint(id, Number(shards))),
      expected,
    );
  }
});

test('every shard gets its share, of integers one after the other and of UUIDs', () => {
  const random = new SeededRandom(20_261_301);
  const hex = () =>
    random
      .below(2 ** 32)
      .toString(16)
      .padStart(8, '0');
  const uuid = () => parsePointId(hex() + hex() + hex() + hex(), '');
  const count = 64_000;
  for (const shards of [2, 3, 7, 64]) {
    for (const idOf of [(n: number) => n, (n: number) => n * 1_024, uuid]) {
      const counts = new Array<number>(shards).fill(0);
      for (let n = 0; n < count; n += 1) {
        const shard = shardOfPoint(idOf(n), shards);
        counts[shard] = (counts[shard] as number) + 1;
      }
      const share = count / shards;
      // Of 64 shards one is five standard deviations away once in 30,000 times.
      const most = 5 * Math.sqrt(share);
      for (const one of counts) assert.ok(Math.abs(one - share) < most, `${shards}: ${counts}`);
    }
  }
});

test('of one shard more only the new one gets points', () => {
  for (let id = 0; id < 2_000; id += 1) {
    for (const shards of [1, 2, 5, 31]) {
      const [before, after] = [shardOfPoint(id, shards), shardOfPoint(id, shards + 1)];
      assert.ok(after === before || after === shards);
    }
  }
});
