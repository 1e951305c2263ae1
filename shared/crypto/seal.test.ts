import assert from 'node:assert/strict';
import { test } from 'node:test';
import { secureRandom } from '../base/random.ts';
import { open, SEAL_KEY_BYTES, seal } from './seal.ts';

const { bytes } = secureRandom;
const key = bytes(SEAL_KEY_BYTES);
const context = Buffer.from('purpose');

test('what was sealed is opened, whatever its length', () => {
  for (const length of [0, 1, 16, 1_000]) {
    const text = Buffer.from(bytes(length));
    assert.deepEqual(open(seal(text, { key, context, bytes }), { key, context }), text);
  }
});

test('two boxes of one text differ', () => {
  const text = Buffer.from('the same');
  assert.notDeepEqual(seal(text, { key, context, bytes }), seal(text, { key, context, bytes }));
});

test('another key, another context, a changed or cut box open nothing', () => {
  const box = seal(Buffer.from('secret'), { key, context, bytes });
  assert.equal(open(box, { key: bytes(SEAL_KEY_BYTES), context }), undefined);
  assert.equal(open(box, { key, context: Buffer.from('other') }), undefined);
  for (let i = 0; i < box.length; i += 1) {
    const changed = Buffer.from(box);
    changed[i] = (changed[i] ?? 0) ^ 1;
    assert.equal(open(changed, { key, context }), undefined, `byte ${i}`);
    assert.equal(open(box.subarray(0, i), { key, context }), undefined, `cut at ${i}`);
  }
});
