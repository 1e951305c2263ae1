import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InvalidInput } from '../base/invalid.ts';
import { SeededRandom } from '../base/random.ts';
import { LIMITS } from './limits.ts';
import {
  EACH,
  formatPayloadPath,
  type PayloadPath,
  parsePayloadPath,
  visitPath,
} from './payload-path.ts';
import type { JsonValue } from './point.ts';

const PATHS: [string, PayloadPath][] = [
  ['a', ['a']],
  ['a.b', ['a', 'b']],
  ['a[].b', ['a', EACH, 'b']],
  ['a[][]', ['a', EACH, EACH]],
  ['a[12].b', ['a', 12, 'b']],
  ['"a.b".c', ['a.b', 'c']],
  ['"a[0]"[0]', ['a[0]', 0]],
  ['with space.ünï-cøde', ['with space', 'ünï-cøde']],
  ['constructor.toString', ['constructor', 'toString']],
];

test('paths parse to their steps and format back to their text', () => {
  for (const [text, steps] of PATHS) {
    assert.deepEqual(parsePayloadPath(text, 'key'), steps, text);
    assert.equal(formatPayloadPath(steps), text);
  }
});

test('random paths survive the round trip', (t) => {
  const seed = Math.trunc(process.hrtime()[1]);
  t.diagnostic(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const keys = ['a', 'b c', 'x.y', '[', ']', '.', '0', 'é'];
  for (let round = 0; round < 500; round += 1) {
    const path: PayloadPath = [random.pick(keys)];
    for (let i = random.below(6); i > 0; i -= 1) {
      path.push(random.pick<PayloadPath[number]>([random.pick(keys), random.below(1_000), EACH]));
    }
    assert.deepEqual(parsePayloadPath(formatPayloadPath(path), 'key'), path);
  }
});

test('what is not a path is refused with the place', () => {
  const texts = ['', '.', 'a.', '.a', 'a..b', 'a[', 'a]', 'a[x]', 'a[0]b', '[]', '"a', '""', 'a"b'];
  const values = [
    ...texts,
    'a[-1]',
    'a[1234567890]',
    '__proto__',
    'a.__proto__',
    '"__proto__"',
    1,
    null,
  ];
  for (const value of values) {
    assert.throws(
      () => parsePayloadPath(value, 'filter.must[0].key'),
      (error) => error instanceof InvalidInput && error.path === 'filter.must[0].key',
      JSON.stringify(value),
    );
  }
});

test('a path has a bound in bytes, not in characters', () => {
  const max = LIMITS.payloadPathBytesMax;
  assert.deepEqual(parsePayloadPath('a'.repeat(max), 'key'), ['a'.repeat(max)]);
  assert.throws(() => parsePayloadPath('a'.repeat(max + 1), 'key'), InvalidInput);
  assert.throws(() => parsePayloadPath('é'.repeat(max / 2 + 1), 'key'), InvalidInput);
});

test('visitPath finds what the path leads to', () => {
  const payload: JsonValue = {
    a: { b: 1, 'x.y': 2 },
    list: [{ n: 1 }, { n: 2 }, 'text', { n: [3, 4] }, { other: 5 }],
    nested: [[1, 2], [3]],
    none: null,
  };
  const found = (text: string): JsonValue[] => {
    const values: JsonValue[] = [];
    visitPath(payload, parsePayloadPath(text, 'key'), (value) => values.push(value));
    return values;
  };
  assert.deepEqual(found('a.b'), [1]);
  assert.deepEqual(found('a."x.y"'), [2]);
  assert.deepEqual(found('list[].n'), [1, 2, [3, 4]]);
  assert.deepEqual(found('list[1].n'), [2]);
  assert.deepEqual(found('nested[][]'), [1, 2, 3]);
  assert.deepEqual(found('nested[]'), [[1, 2], [3]]);
  assert.deepEqual(found('none'), [null]);
  for (const absent of ['z', 'a.b.c', 'a[]', 'none.x', 'list[9]', 'a.toString', 'list.length']) {
    assert.deepEqual(found(absent), [], absent);
  }
});
