import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatBytes } from './output.ts';

test('bytes are shown with three digits or so and their unit', () => {
  const shown: [bytes: number, text: string][] = [
    [0, '0 B'],
    [1_023, '1023 B'],
    [1_024, '1.0 KiB'],
    [3.44 * 2 ** 30, '3.4 GiB'],
    [117 * 2 ** 20, '117 MiB'],
    [2 ** 50, '1.0 PiB'],
    [2_000 * 2 ** 50, '2000 PiB'],
  ];
  for (const [bytes, text] of shown) assert.equal(formatBytes(bytes), text);
});
