import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom, secureRandom } from '../../shared/base/random.ts';
import {
  FLOAT_TEXT_BYTES_MAX,
  SHORT_FLOAT_TEXT_BYTES_MAX,
  writeFloat,
  writeShortFloat,
} from './float-text.ts';

const out = Buffer.alloc(2 * FLOAT_TEXT_BYTES_MAX);

function textOf(x: number): string {
  const end = writeFloat(out, 0, x);
  assert.ok(end < FLOAT_TEXT_BYTES_MAX, `${x}: ${end} bytes`);
  return out.toString('latin1', 0, end);
}

const JSON_NUMBER = /^-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?$/;

test('components are written with at most nine digits and no zeros at the end', () => {
  const cases: [number, string][] = [
    [0, '0'],
    [-0, '0'],
    [1, '1'],
    [-100, '-100'],
    [0.5, '0.5'],
    [-0.1, '-0.100000001'],
    [3.25, '3.25'],
    [123.456, '123.456001'],
    [2e-6, '0.00000199999999'],
    [1e-6, '9.99999997e-7'],
    [16_777_216, '16777216'],
    [999_999_936, '999999936'],
    [1e9, '1.00000000e+9'],
    [1e-9, '9.99999972e-10'],
    [3.4028234663852886e38, '3.40282347e+38'],
  ];
  for (const [x, text] of cases) assert.equal(textOf(Math.fround(x)), text);
});

test('a reader gets the same float32 (random, and around powers of ten)', () => {
  const seed = secureRandom.below(2 ** 32);
  console.log(`float text seed ${seed}`);
  const random = new SeededRandom(seed);
  const bits = new Uint32Array(1);
  const float = new Float32Array(bits.buffer);
  const check = (): void => {
    const x = float[0] as number;
    if (!Number.isFinite(x)) return;
    const text = textOf(x);
    assert.match(text, JSON_NUMBER);
    assert.equal(Math.fround(Number(text)), x + 0, text);
  };
  for (let i = 0; i < 200_000; i += 1) {
    // Half of them anything, half of the size that components have.
    bits[0] = i % 2 === 0 ? random.below(2 ** 32) : 0x3500_0000 + random.below(0x1000_0000);
    check();
  }
  for (let power = -45; power < 39; power += 1) {
    for (let step = -3; step <= 3; step += 1) {
      float[0] = 10 ** power;
      bits[0] = (bits[0] as number) + step;
      check();
    }
  }
});

test('short texts have seven digits, or as many more as their float32 needs', () => {
  const shortOf = (x: number): string => {
    const end = writeShortFloat(out, 0, x);
    assert.ok(end < SHORT_FLOAT_TEXT_BYTES_MAX, `${x}: ${end} bytes`);
    return out.toString('latin1', 0, end);
  };
  const slowly = (x: number): string => {
    const digits = [7, 8, 9].find((count) => Math.fround(Number(x.toPrecision(count))) === x);
    return String(Number(x.toPrecision(digits)));
  };
  const seed = secureRandom.below(2 ** 32);
  console.log(`short float text seed ${seed}`);
  const random = new SeededRandom(seed);
  const bits = new Uint32Array(1);
  const float = new Float32Array(bits.buffer);
  for (let i = 0; i < 100_000; i += 1) {
    bits[0] = random.below(2 ** 32);
    const x = i % 2 === 0 ? (float[0] as number) : Math.fround(random.next() - 0.5);
    if (Number.isFinite(x)) assert.equal(shortOf(x), slowly(x));
  }
  for (const x of [0, -0, 1, 0.1, 999_999.9, 1e6, 1e-6, 9.9999999e-7, -0.5, 2 ** -149, 3.4e38]) {
    assert.equal(shortOf(Math.fround(x)), slowly(Math.fround(x)));
  }
});
