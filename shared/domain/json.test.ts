import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InvalidInput } from '../base/invalid.ts';
import { SeededRandom, secureRandom } from '../base/random.ts';
import { parseJsonBytes, parseJsonObject, scanJson, stringifyJson } from './json.ts';
import { LIMITS } from './limits.ts';
import type { JsonObject, JsonValue } from './point.ts';

const bytes = (text: string) => new TextEncoder().encode(text);
const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);

function refusal(text: string): string {
  try {
    parseJsonBytes(bytes(text));
  } catch (error) {
    assert.ok(error instanceof InvalidInput, String(error));
    return error.message;
  }
  assert.fail(`${text.slice(0, 60)} was accepted`);
}

describe('scanJson', () => {
  it('counts nesting outside strings', () => {
    assert.equal(scanJson(bytes('{"a":[{"b":"[[[[{{\\"[["}]}')).deepest, 3);
    assert.equal(scanJson(bytes('17')).deepest, 0);
    assert.equal(scanJson(bytes(nested(LIMITS.jsonDepthMax))).deepest, LIMITS.jsonDepthMax);
  });

  it('refuses deep nesting, also in text that is not JSON', () => {
    assert.throws(() => scanJson(bytes(nested(LIMITS.jsonDepthMax + 1))), InvalidInput);
    assert.throws(() => scanJson(bytes('{"a":'.repeat(1_000_000))), InvalidInput);
  });

  it('sees long integers and only those', () => {
    const longIn = (text: string) => {
      const { longIntegers } = scanJson(bytes(text));
      return longIntegers.length === 0 ? [] : [text.slice(longIntegers[0], longIntegers[1])];
    };
    assert.deepEqual(longIn('{"id":9007199254740993}'), ['9007199254740993']);
    assert.deepEqual(longIn('-12345678901234567890'), ['-12345678901234567890']);
    assert.deepEqual(longIn('[0.12345678901234567890, 1.5e10, 123456789012345]'), []);
    assert.deepEqual(longIn('[1e-12345678901234567890, 12345678901234567890e1]'), []);
    assert.deepEqual(longIn('{"a":"12345678901234567890"}'), []);
  });

  it('is suspicious of what a parse must refuse, and of little else', () => {
    const suspicious = (text: string) => scanJson(bytes(text)).suspicious;
    for (const text of ['1e999', '1E+400', '{"__proto__":1}', '{"\\u005f_proto__":1}']) {
      assert.equal(suspicious(text), true, text);
    }
    for (const text of ['1e-999', '1e99', '{"__proto":1}', '"\\n"', 'true', '[false,1.5e10]']) {
      assert.equal(suspicious(text), false, text);
    }
  });
});

describe('parseJsonBytes', () => {
  it('keeps integers exact', () => {
    const text =
      '{"a":18446744073709551615,"b":[9007199254740993,-9007199254740993,9007199254740991],' +
      '"c":12345678901234567890.5,"d":"12345678901234567890"}';
    assert.deepEqual(parseJsonBytes(bytes(text)), {
      a: 18446744073709551615n,
      b: [9007199254740993n, -9007199254740993n, 9007199254740991],
      c: Number('12345678901234567890.5'),
      d: '12345678901234567890',
    });
  });

  it('keeps integers exact beside texts that use the marker', () => {
    const texts = [
      '\u007f',
      '\u007f12345678901234567',
      '\u007f=1',
      '\u007f\u007f',
      '\u007f=\u007f1',
    ];
    for (const text of texts) {
      const object = { [text]: text, z: 1 };
      const raw = JSON.stringify(object);
      for (const json of [
        raw,
        raw.replaceAll('\u007f', '\\u007F'),
        raw.replace('\u007f', '\\u007f'),
      ]) {
        assert.deepEqual(parseJsonBytes(bytes(`[12345678901234567,${json}]`)), [
          12345678901234567n,
          object,
        ]);
        assert.deepEqual(parseJsonBytes(bytes(json)), object);
      }
    }
    const ordered = parseJsonBytes(bytes('{"b":1,"\u007f1":2,"a":12345678901234567}'));
    assert.deepEqual(Object.keys(ordered as object), ['b', '\u007f1', 'a']);
  });

  it('takes no longer for such texts (10 MiB of vectors, one of them, one long integer)', () => {
    const vectors = `[${'0.12345678,'.repeat(64)}1],`.repeat(13_000);
    const body = bytes(`[${vectors}12345678901234567,"\u007f"]`);
    const startMs = performance.now();
    parseJsonBytes(body);
    const ms = performance.now() - startMs;
    assert.ok(ms < 1_500, `${ms} ms for ${body.length} bytes`);
  });

  it('does not make a long number in the place of a key acceptable', () => {
    assert.match(refusal('{12345678901234567:1}'), /not valid/);
    assert.match(refusal('[00012345678901234567]'), /not valid at position 2/);
    assert.match(refusal('[+12345678901234567]'), /not valid at position 1/);
    assert.match(refusal('[12345678901234567x]'), /not valid at position 18/);
  });

  it('refuses numbers that overflow a double', () => {
    const digits = '9'.repeat(400);
    for (const text of [
      '1e999',
      '{"a":[-1E400]}',
      `[${digits}.0]`,
      digits,
      `${'9'.repeat(300)}e9`,
    ]) {
      assert.match(refusal(text), /too large for a 64-bit float/);
    }
    assert.deepEqual(parseJsonBytes(bytes('[1e-400,1e308,-0]')), [0, 1e308, -0]);
  });

  it('refuses __proto__ as a key, in any spelling and depth, and nowhere else', () => {
    for (const key of ['__proto__', '\\u005f_proto__', '__\\u0070roto__']) {
      assert.match(refusal(`{"a":[{"${key}":1}]}`), /"__proto__" is not allowed/);
      assert.match(refusal(`{"id":12345678901234567,"${key}":{}}`), /"__proto__" is not allowed/);
    }
    assert.deepEqual(parseJsonBytes(bytes('{"a":"__proto__"}')), { a: '__proto__' });
  });

  it('says where the text stops being JSON and never quotes it', () => {
    const cases: [string, RegExp][] = [
      ['', /position 0: the text ends too early/],
      ['nope', /position 0: a value is expected/],
      ['{"secret":1', /position 11: the text ends too early/],
      ['[1,]', /position 3: a value is expected/],
      ['{"a" 1}', /position 5: a ":" is expected/],
      ['{a:1}', /position 1: a key in double quotes or "}"/],
      ['{"a":1,}', /position 7: a key in double quotes is expected/],
      ['"\\x"', /position 1: this escape/],
      ['"a\nb"', /position 2: control characters/],
      ['"secret', /position 7: the text ends inside a string/],
      ['{"a":1} x', /position 8: nothing may follow/],
      ['[1 2]', /position 3: a "," or/],
      ['01', /position 1: nothing may follow/],
      ['[12345678901234567,]', /position 19: a value is expected/],
      ['[1}', /position 2: a "," or/],
    ];
    for (const [text, expected] of cases) {
      assert.match(refusal(text), expected);
      assert.doesNotMatch(refusal(text), /secret|nope/);
    }
  });

  it('refuses bytes that are not UTF-8', () => {
    assert.throws(() => parseJsonBytes(Uint8Array.of(0x22, 0xff, 0x22)), /not valid UTF-8/);
  });

  it('wants an object where a payload is meant', () => {
    assert.deepEqual(parseJsonObject(bytes('{"a":1}')), { a: 1 });
    for (const text of ['[]', '1', 'null']) {
      assert.throws(() => parseJsonObject(bytes(text)), InvalidInput);
    }
  });

  it('parses as JSON.parse does, and writes back what it read (random)', () => {
    const seed = secureRandom.below(2 ** 32);
    console.log(`json seed ${seed}`);
    const random = new SeededRandom(seed);
    for (let i = 0; i < 3_000; i += 1) {
      const value = randomValue(random, 0);
      const text = stringifyJson(value);
      assert.deepEqual(parseJsonBytes(bytes(text)), value);
      const cut = text.slice(0, random.below(text.length)) + text.slice(random.below(text.length));
      assert.equal(
        accepts(() => parseJsonBytes(bytes(cut))),
        accepts(() => JSON.parse(cut)),
        cut,
      );
    }
  });
});

describe('stringifyJson', () => {
  it('writes bigints digit by digit', () => {
    const value: JsonObject = { id: 2n ** 64n - 1n, list: [-(2n ** 60n), 1.5, null, 'x'] };
    assert.equal(
      stringifyJson(value),
      '{"id":18446744073709551615,"list":[-1152921504606846976,1.5,null,"x"]}',
    );
  });
});

function accepts(parse: () => unknown): boolean {
  try {
    parse();
    return true;
  } catch {
    return false;
  }
}

function randomValue(random: SeededRandom, depth: number): JsonValue {
  const kind = random.below(depth > 3 ? 6 : 8);
  if (kind === 0) return null;
  if (kind === 1) return random.below(2) === 0;
  if (kind === 2) return random.below(1_000) - 500;
  if (kind === 3) return BigInt(random.below(2 ** 31)) * 2n ** 33n + 2n ** 54n + 1n;
  if (kind === 4) return random.normal();
  if (kind === 5)
    return random.pick([
      '',
      'é',
      '"\\/',
      '12345678901234567',
      '\u0001',
      '🙂',
      ']}',
      '\u007f1',
      '\u007f=',
    ]);
  const length = random.below(4);
  if (kind === 6) return Array.from({ length }, () => randomValue(random, depth + 1));
  const keys = Array.from({ length }, () => random.pick(['a', 'b c', '"', '{', 'ü', '\u007f']));
  return Object.fromEntries(keys.map((key) => [key, randomValue(random, depth + 1)]));
}
