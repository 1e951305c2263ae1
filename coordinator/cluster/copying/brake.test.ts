import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../../shared/base/clock.ts';
import { Brake } from './brake.ts';

test('writers wait while they write as much as is copied, and not any more afterwards', () => {
  const clock = new ManualClock();
  const waits: number[] = [];
  const writers = { rowsWritten: 5, slowDown: (ms: number) => void waits.push(ms) };
  const brake = new Brake(clock, [writers]);
  const look = (written: number, copied: number) => {
    writers.rowsWritten += written;
    clock.advance(500);
    brake.copied(copied);
    return waits.at(-1) ?? 0;
  };
  assert.equal(look(10, 100), 0);
  assert.deepEqual([look(100, 100), look(90, 100), look(70, 100)], [10, 20, 40]);
  assert.equal(look(50, 100), 40, 'this is good enough');
  assert.deepEqual([look(20, 100), look(0, 100), look(0, 100)], [20, 10, 0]);
  for (let i = 0; i < 20; i += 1) look(100, 0);
  assert.equal(waits.at(-1), 1_000, 'not longer, whatever is written');
  brake.release();
  assert.equal(waits.at(-1), 0);
});
