import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../../shared/base/random.ts';
import { pointIdToKey } from '../../shared/domain/point.ts';
import { takeSeed } from '../../test/harness/seed.ts';
import {
  movedPayloadCheck,
  payloadCheck,
  rowSeed,
  rowSeedOfHex,
  vectorCheck,
} from './row-check.ts';

const UUID = '550e8400-e29b-41d4-a716-446655440000';

test('the checks are those that are on disks already', () => {
  const seed = rowSeed(pointIdToKey(7), 3);
  const payload = Buffer.from('{"a":1}');
  const vector = Buffer.from(Float32Array.of(1, 2, 3).buffer);
  assert.deepEqual(
    [seed, payloadCheck(seed, 5, payload), payloadCheck(seed, 5, null), vectorCheck(seed, vector)],
    [3_443_798_943, -214_665_378, 632_204_309, -1_022_040_828],
  );
});

test('keys are the same as bytes and as digits', () => {
  for (const id of [0, 7, 2 ** 53 - 1, 2n ** 64n - 1n, UUID as never]) {
    const key = pointIdToKey(id);
    const hex = key.toString('hex').toUpperCase();
    for (const label of [0, 1, 2 ** 32 - 1]) {
      assert.equal(rowSeedOfHex(hex, label), rowSeed(key, label));
    }
  }
});

test('a payload keeps its check from version to version', () => {
  const seed = rowSeed(pointIdToKey(UUID as never), 9);
  const payload = Buffer.from('{}');
  for (const [from, to] of [
    [1, 2],
    [2 ** 32 - 1, 2 ** 32],
    [5, 2 ** 53 - 1],
  ] as const) {
    const moved = movedPayloadCheck(payloadCheck(seed, from, payload), from, to);
    assert.equal(moved, payloadCheck(seed, to, payload));
  }
});

test('any one bit that is wrong is known', (t) => {
  const random = new SeededRandom(takeSeed(t, 20_270_103));
  const bytes = (count: number) =>
    Buffer.from(Array.from({ length: count }, () => random.below(256)));
  const flipped = (whole: Buffer, bit: number) => {
    const copy = Buffer.from(whole);
    copy.writeUInt8(copy.readUInt8(bit >> 3) ^ (1 << (bit & 7)), bit >> 3);
    return copy;
  };
  for (let round = 0; round < 20; round += 1) {
    const [key, label, version] = [bytes(9), random.below(2 ** 31), random.below(2 ** 40)];
    const payload = bytes(random.below(300));
    const right = payloadCheck(rowSeed(key, label), version, payload);
    const wrong: number[] = [];
    for (let bit = 0; bit < 8 * payload.length; bit += 1) {
      wrong.push(payloadCheck(rowSeed(key, label), version, flipped(payload, bit)));
    }
    for (let bit = 0; bit < 72; bit += 1) {
      wrong.push(payloadCheck(rowSeed(flipped(key, bit), label), version, payload));
    }
    for (let bit = 0; bit < 31; bit += 1) {
      wrong.push(payloadCheck(rowSeed(key, label ^ (1 << bit)), version, payload));
    }
    for (let bit = 0; bit < 53; bit += 1) {
      const other = Number(BigInt(version) ^ (1n << BigInt(bit)));
      wrong.push(payloadCheck(rowSeed(key, label), other, payload));
    }
    wrong.push(payloadCheck(rowSeed(key, label), version, null));
    assert.ok(!wrong.includes(right));
  }
});
