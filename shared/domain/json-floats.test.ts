import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeededRandom } from '../base/random.ts';
import { parseJsonBytes } from './json.ts';
import { parseWithFloats, readFloats } from './json-floats.ts';
import { LIMITS } from './limits.ts';

const random = new SeededRandom(20);
const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** Numbers as clients write them, and the ones that are hardest to round. */
const WRITERS: readonly (() => string)[] = [
  () => String(Math.fround(random.next() - 0.5)),
  () => String(random.next() - 0.5),
  () => (random.next() - 0.5).toFixed(random.below(12)),
  () => (random.next() * 10 ** (random.below(60) - 40)).toPrecision(1 + random.below(20)),
  () => `${random.below(2 ** 31)}E${random.below(2) === 0 ? '-' : '+'}${random.below(12)}`,
  () => random.next().toFixed(30),
  () => `${random.below(2 ** 31)}${random.below(2 ** 31)}`,
  () => '-0.0',
  () => String(anyFloat()),
  // Just between two float32 values, and a little beside.
  () => String(between()),
  () => between().toPrecision(17),
  () => `${between().toFixed(40)}1`,
];

function anyFloat(): number {
  do bits[0] = random.below(2 ** 32);
  while (!Number.isFinite(float[0]));
  return float[0] as number;
}

function between(): number {
  const low = Math.fround((random.next() - 0.5) * 2 ** (random.below(40) - 20));
  float[0] = low;
  bits[0] = (bits[0] as number) + 1;
  return (low + (float[0] as number)) / 2;
}

const bytesOf = (text: string): Buffer => Buffer.from(text);

test('every number is the float32 that JSON.parse and a store would make', () => {
  for (let round = 0; round < 3_000; round += 1) {
    const texts = Array.from({ length: 1 + random.below(12) }, () => {
      return (WRITERS[random.below(WRITERS.length)] as () => string)();
    });
    const text = `[${texts.join(round % 2 === 0 ? ',' : ' ,\n\t')}]`;
    const read = readFloats(bytesOf(`${text}rest`), 1);
    assert.deepEqual(read?.values, Float32Array.from(JSON.parse(text) as number[]), text);
    assert.equal(read?.end, text.length);
  }
});

test('what is not an array of finite numbers is left to the parser', () => {
  const wrong = [
    '',
    ']',
    '1',
    '1,',
    '1,]',
    ',1]',
    '01]',
    '-]',
    '.5]',
    '1.]',
    '1.e2]',
    '1e]',
    '1e+]',
  ];
  const others = ['+1]', '1 2]', '0x1]', 'NaN]', 'null]', '"1"]', '[1]]', '1e39]', '1e999]', '1}'];
  const long = [`${'1'.repeat(100)}]`, `${'1,'.repeat(LIMITS.dimensionMax)}1]`];
  for (const text of [...wrong, ...others, ...long]) {
    assert.equal(readFloats(bytesOf(`[${text}`), 1), undefined, text);
  }
});

test('the rest of the object is what it would be without', () => {
  const bodies = [
    '{"query":[0.5,-1],"limit":3}',
    ' { "limit" : 3 , "filter":{"must":[{"key":"a","match":{"any":[1,2]}}]}, "query" : [ 1e-7 ] } ',
    '{"a":"é [1] \\" ","query":[1],"b":[[],{}]}',
  ];
  for (const body of bodies) {
    const whole = parseJsonBytes(bytesOf(body)) as { query: number[] };
    const wanted = { ...whole, query: Float32Array.from(whole.query) };
    assert.deepEqual(parseWithFloats(bytesOf(body), 'query'), wanted);
  }
});

test('what needs a closer look is left to the parser', () => {
  const bodies = [
    '{"limit":3}',
    '{"query":7}',
    '{"query":[[1]]}',
    '{"query":{"nearest":[1]}}',
    '{"a":{"query":[1]}}',
    '{"a":"query","b":[1]}',
    '{"a":"\\"query\\":","b":[1]}',
    '{"a":["query",[1]]}',
    '["query",[1]]',
    '["query":[1]]',
    '{"query":[1],"query":[2]}',
    '{"query":[1],"qu\\u0065ry":[2]}',
    '{"query":[1],"__proto__":{}}',
    '{"query":[1],"limit":12345678901234567}',
    '{"query":[1]',
    '{"query":[1]}}',
    '{"query":[1],}',
    '{"query" "":[1]}',
  ];
  for (const body of bodies) assert.equal(parseWithFloats(bytesOf(body), 'query'), undefined, body);
});

test('bounds and encoding are checked as ever', () => {
  const deep = `{"query":[1],"a":${'['.repeat(LIMITS.jsonDepthMax)}`;
  assert.throws(() => parseWithFloats(bytesOf(deep), 'query'), /nested deeper/);
  const broken = Buffer.concat([bytesOf('{"query":[1],"a":"'), Buffer.of(0xff), bytesOf('"}')]);
  assert.throws(() => parseWithFloats(broken, 'query'), /not valid UTF-8/);
});
