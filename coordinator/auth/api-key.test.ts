import assert from 'node:assert/strict';
import { it } from 'node:test';
import { crc32 } from 'node:zlib';
import { SeededRandom, secureRandom } from '../../shared/base/random.ts';
import { API_KEY_CHARS, createApiKey, isApiKey, prefixOf } from './api-key.ts';

const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

it('makes keys of the documented form', () => {
  for (const mode of ['live', 'test'] as const) {
    const key = createApiKey(mode, secureRandom.bytes);
    assert.match(key, new RegExp(`^bh_${mode}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}$`));
    assert.equal(key.length, API_KEY_CHARS);
    assert.ok(isApiKey(key));
    assert.equal(prefixOf(key), key.slice(8, 16));
    const checksum = [...key.slice(-6)].reduce((sum, char) => sum * 62 + BASE62.indexOf(char), 0);
    assert.equal(checksum, crc32(key.slice(0, -6)));
  }
});

it('draws every character with the same chance', () => {
  const seed = 42;
  const random = new SeededRandom(seed);
  const counts = new Map<string, number>();
  const keys = 2_000;
  for (let i = 0; i < keys; i += 1) {
    const key = createApiKey('live', (count) =>
      Uint8Array.from({ length: count }, () => random.below(256)),
    );
    for (const char of key.slice(8, 51)) counts.set(char, (counts.get(char) ?? 0) + 1);
  }
  const expected = (keys * 43) / 62;
  for (const char of BASE62) {
    const count = counts.get(char) ?? 0;
    assert.ok(Math.abs(count - expected) < 0.15 * expected, `${char}: ${count}, seed ${seed}`);
  }
});

it('refuses every single changed character, and other forms', () => {
  const key = createApiKey('live', secureRandom.bytes);
  for (let i = 0; i < key.length; i += 1) {
    for (const other of ['0', 'z', '_', ' ', 'é', '\0']) {
      if (key[i] === other) continue;
      assert.equal(isApiKey(key.slice(0, i) + other + key.slice(i + 1)), false, `at ${i}`);
    }
  }
  const testKey = createApiKey('test', secureRandom.bytes);
  const bad = ['', 'bh_live_', ` ${key}`, `${key}\n`, `${key}0`, key.slice(1), key.toUpperCase()];
  for (const text of [...bad, key.replace('live', 'test'), testKey.replace('test', 'live')]) {
    assert.equal(isApiKey(text), false, JSON.stringify(text));
  }
});
