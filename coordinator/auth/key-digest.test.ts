import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { test } from 'node:test';
import { KeyDigester } from './key-digest.ts';

test('a digest is the HMAC-SHA-256 of the key, whatever the length of the pepper', () => {
  for (const pepper of ['', 'p', 'p'.repeat(63), 'p'.repeat(64), 'p'.repeat(65), 'é'.repeat(300)]) {
    const digester = new KeyDigester(pepper);
    for (const key of ['', 'bh_live_x', 'k'.repeat(58), 'ключ', 'k'.repeat(1_000)]) {
      const wanted = createHmac('sha256', pepper).update(key).digest();
      assert.deepEqual(digester.digest(key), wanted);
    }
  }
});

test('a digest stays what it is when others are made', () => {
  const digester = new KeyDigester('pepper');
  const first = digester.digest('one');
  const copy = Buffer.from(first);
  digester.digest('two');
  assert.deepEqual(first, copy);
});
