import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ClientId, isId, randomId } from './ids.ts';
import { secureRandom } from './random.ts';

test('an id has its prefix and 16 base32 characters', () => {
  const ids = new Set<ClientId>();
  for (let i = 0; i < 1_000; i += 1) ids.add(randomId<ClientId>('cl_', secureRandom.bytes));
  assert.equal(ids.size, 1_000);
  for (const id of ids) assert(isId('cl_', id), id);
});

test('every byte maps to a character of the alphabet, evenly', () => {
  const counts = new Map<string, number>();
  for (let first = 0; first < 256; first += 16) {
    const bytes = (count: number): Uint8Array =>
      Uint8Array.from({ length: count }, (_, i) => first + i);
    for (const character of randomId<ClientId>('cl_', bytes).slice(3)) {
      counts.set(character, (counts.get(character) ?? 0) + 1);
    }
  }
  assert.equal(counts.size, 32);
  assert.deepEqual(new Set(counts.values()), new Set([8]));
});

test('isId refuses another prefix, length or alphabet', () => {
  const good = `cl_${'a'.repeat(16)}`;
  assert(isId('cl_', good));
  assert(!isId('wk_', good));
  for (const bad of ['', 'cl_', `${good}a`, good.slice(0, -1), `cl_${'A'.repeat(16)}`]) {
    assert(!isId('cl_', bad), bad);
  }
  for (const bad of [`${good}\n`, `cl_${'a'.repeat(15)}1`, ` ${good}`]) {
    assert(!isId('cl_', bad), bad);
  }
});
