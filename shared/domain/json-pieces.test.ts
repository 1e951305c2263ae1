import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { InvalidInput } from '../base/invalid.ts';
import { SeededRandom, secureRandom } from '../base/random.ts';
import { parseJsonBytes, stringifyJson } from './json.ts';
import { parseJsonPieces } from './json-pieces.ts';
import type { JsonValue } from './point.ts';

const MIB = 2 ** 20;
const bytes = (text: string) => new TextEncoder().encode(text);

/** Runs to the end; how long the longest piece took is put into `longest`. */
function parsed(text: string | Uint8Array, pieceBytes?: number, longest = { ms: 0 }): JsonValue {
  const steps = parseJsonPieces(typeof text === 'string' ? bytes(text) : text, pieceBytes);
  for (;;) {
    const startMs = performance.now();
    const step = steps.next();
    longest.ms = Math.max(longest.ms, performance.now() - startMs);
    if (step.done) return step.value;
  }
}

function outcome(parse: () => JsonValue): unknown {
  try {
    return parse();
  } catch (error) {
    assert.ok(error instanceof InvalidInput, String(error));
    return 'refused';
  }
}

describe('parseJsonPieces', () => {
  it('parses as a whole parse does, wherever the pieces end (random)', () => {
    const seed = secureRandom.below(2 ** 32);
    console.log(`json pieces seed ${seed}`);
    const random = new SeededRandom(seed);
    for (let i = 0; i < 4_000; i += 1) {
      const text = spaced(random, stringifyJson(randomValue(random, 0)));
      const pieceBytes = 1 + random.below(40);
      assert.deepEqual(parsed(text, pieceBytes), parseJsonBytes(bytes(text)), text);
      const broken = damaged(random, text);
      assert.deepEqual(
        outcome(() => parsed(broken, pieceBytes)),
        outcome(() => parseJsonBytes(bytes(broken))),
        `${pieceBytes}: ${broken}`,
      );
    }
  });

  it('refuses what stands wrongly between pieces', () => {
    const item = '"0123456789"';
    const texts = [
      `[${item},,${item}]`,
      `[${item},${item},]`,
      `[,${item},${item}]`,
      `[[${item}]${item}]`,
      `[[${item}],]`,
      `[[${item}],,${item}]`,
      `{"a":[${item}]"b":1}`,
      `{"a":[${item}],}`,
      `{"a" [${item}]}`,
      `{[${item}]}`,
      `{"a":1[${item}]}`,
      `{"a":"x"[${item}]}`,
      `{"a":1,2:[${item}]}`,
      `{12345678901234567:[${item}]}`,
      `{"a":[${item}}]`,
      `[${item}}`,
      `[${item}]]`,
      `[${item}],[${item}]`,
      `[${item}] x`,
      `[${item}`,
      `[[${item}]`,
      `{"a":{"b":[${item}],"__proto__":[${item}]}}`,
      '',
      '  ',
      ']',
    ];
    for (const text of texts) {
      for (const pieceBytes of [1, 4, 14, 20]) {
        assert.throws(() => parsed(text, pieceBytes), InvalidInput, `${pieceBytes}: ${text}`);
      }
    }
  });

  it('bounds arrays and objects: millions of empty ones take long and a lot of memory', () => {
    const text = `[${'{},[],'.repeat(500_000)}1]`;
    assert.throws(() => parsed(text), /more than 1000000 arrays and objects/);
    assert.throws(() => parseJsonBytes(bytes(text)), /more than 1000000 arrays and objects/);
  });

  it('keeps the last of two values of one key, and the order of keys', () => {
    const text = '{"a":[1,2,3,4,5,6],"b":{"c":[1,2,3,4]},"a":7}';
    assert.equal(JSON.stringify(parsed(text, 4)), '{"a":7,"b":{"c":[1,2,3,4]}}');
  });

  it('never holds on for long, whatever a large body says', () => {
    const documents = {
      vectors: `[${`{"id":12345678901234567,"vector":[${'0.123456789,'.repeat(255)}1]},`.repeat(3_000)}1]`,
      'long integers': `[${'18446744073709551615,'.repeat(400_000)}1]`,
      'one integer': '9'.repeat(30 * MIB),
      'distinct keys': `{${Array.from({ length: 600_000 }, (_, i) => `"k${i}":1`).join(',')}}`,
      'empty lists': `[${'[],'.repeat(999_000)}1]`,
      'texts with the marker': `[12345678901234567,${'"\u007f",'.repeat(1_500_000)}1]`,
      'one text': JSON.stringify('x'.repeat(8 * MIB)),
      'broken at the end': `[${'0.123456789,'.repeat(700_000)}1`,
    };
    for (const [name, text] of Object.entries(documents)) {
      const longest = { ms: 0 };
      outcome(() => parsed(Buffer.from(text), undefined, longest));
      console.log(`${name}: ${longest.ms.toFixed(0)} ms`);
      // Collecting garbage is in it, and other work of a busy machine.
      assert.ok(longest.ms < 1_000, `${name}: ${longest.ms} ms`);
    }
  });
});

function spaced(random: SeededRandom, text: string): string {
  if (random.below(3) > 0 || text.includes('a,b')) return text;
  return ` ${text.replaceAll(',', ' ,\n')}\t`;
}

function damaged(random: SeededRandom, text: string): string {
  const at = random.below(text.length);
  const inserted = random.pick(['', '', ',', ']', '[', '}', '{', '"', ':', '1', ' ', '\u007f']);
  return text.slice(0, at) + inserted + text.slice(at + random.below(2));
}

function randomValue(random: SeededRandom, depth: number): JsonValue {
  const kind = random.below(depth > 5 ? 5 : 12);
  if (kind === 0) return null;
  if (kind === 1) return random.below(1_000) - 500;
  if (kind === 2) return BigInt(random.below(2 ** 31)) * 2n ** 33n + 2n ** 54n + 1n;
  if (kind === 3) return random.normal();
  if (kind === 4)
    return random.pick(['', 'é', '"\\/', '12345678901234567', '🙂', ']}', 'a,b', '\u007f1']);
  const length = random.below(5);
  if (kind < 8) return Array.from({ length }, () => randomValue(random, depth + 1));
  const keys = Array.from({ length }, () => random.pick(['a', 'b', 'c', ' ', '"', '[{', '\u007f']));
  return Object.fromEntries(keys.map((key) => [key, randomValue(random, depth + 1)]));
}
