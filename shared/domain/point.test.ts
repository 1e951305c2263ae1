import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvalidInput } from '../base/invalid.ts';
import { SeededRandom, secureRandom } from '../base/random.ts';
import {
  comparePointIds,
  POINT_ID_MAX,
  type PointId,
  parsePointId,
  parsePointIdText,
  pointIdFromKey,
  pointIdToKey,
} from './point.ts';

const UUID = '936da01f-9abd-4d9d-80c7-02af85c822a8';
const SAFE = Number.MAX_SAFE_INTEGER;

test('an integer is a number while that is exact and a bigint beyond', () => {
  assert.equal(parsePointId(0, ''), 0);
  assert(Object.is(parsePointId(-0, ''), 0));
  assert.equal(parsePointId(SAFE, ''), SAFE);
  assert.equal(parsePointId(7n, ''), 7);
  assert.equal(parsePointId(BigInt(SAFE), ''), SAFE);
  assert.equal(parsePointId(BigInt(SAFE) + 1n, ''), BigInt(SAFE) + 1n);
  assert.equal(parsePointId(POINT_ID_MAX, ''), POINT_ID_MAX);
});

test('a UUID is taken in every usual spelling and kept in one', () => {
  const spellings = [
    UUID,
    UUID.toUpperCase(),
    UUID.replaceAll('-', ''),
    `urn:uuid:${UUID}`,
    `URN:UUID:${UUID.toUpperCase()}`,
  ];
  for (const spelling of spellings) assert.equal(parsePointId(spelling, ''), UUID);
});

test('anything else is refused with the place', () => {
  const values = [
    -1,
    1.5,
    2 ** 53,
    Number.NaN,
    -1n,
    POINT_ID_MAX + 1n,
    '',
    '7',
    `${UUID} `,
    `${UUID.slice(1)}g`,
    `${UUID}\n`,
    null,
    undefined,
    true,
    [],
    {},
  ];
  for (const value of values) {
    assert.throws(
      () => parsePointId(value, 'points[1].id'),
      (error) => error instanceof InvalidInput && error.message.startsWith('points[1].id: '),
    );
  }
});

test('the id in a URL is digits or a UUID', () => {
  assert.equal(parsePointIdText('18446744073709551615', ''), POINT_ID_MAX);
  assert.equal(parsePointIdText('9007199254740993', ''), 9007199254740993n);
  assert.equal(parsePointIdText('42', ''), 42);
  assert.equal(parsePointIdText(UUID, ''), UUID);
  for (const text of ['18446744073709551616', '-1', '1.0', '1e3', '', '0x1', '..', 'abc']) {
    assert.throws(() => parsePointIdText(text, 'id'), InvalidInput, text);
  }
});

test('keys give their ids back and sort as ids do', (t) => {
  const seed = Math.trunc(process.hrtime()[1]);
  t.diagnostic(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const ids: PointId[] = [0, 1, 255, 256, SAFE, BigInt(SAFE) + 1n, POINT_ID_MAX];
  for (let i = 0; i < 200; i += 1) {
    const bits = random.below(64);
    const high = BigInt(random.below(2 ** 32)) << 32n;
    ids.push(
      parsePointId(((high | BigInt(random.below(2 ** 32))) >> BigInt(bits)) & POINT_ID_MAX, ''),
    );
    ids.push(parsePointId(secureRandom.uuid(), ''));
  }
  for (const id of ids) assert.equal(pointIdFromKey(pointIdToKey(id)), id);
  const byKey = ids.toSorted((a, b) => Buffer.compare(pointIdToKey(a), pointIdToKey(b)));
  assert.deepEqual(byKey, ids.toSorted(comparePointIds));
  for (const id of ids) assert.equal(comparePointIds(id, id), 0);
});

test('a key is read from the middle of a buffer', () => {
  const key = pointIdToKey(77);
  const padded = Buffer.concat([Buffer.from('xyz'), key, Buffer.from('xyz')]);
  assert.equal(pointIdFromKey(padded.subarray(3, 3 + key.length)), 77);
});
