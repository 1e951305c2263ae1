import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { PendingCalls } from './pending-calls.ts';
import { SeededRandom } from './random.ts';

test('an answer takes its own call, once', () => {
  const calls = new PendingCalls<string>();
  const [first, second] = [calls.add('first'), calls.add('second')];
  assert.equal(calls.take(second), 'second');
  assert.equal(calls.take(second), undefined);
  assert.equal(calls.size, 1);
  assert.equal(calls.take(first), 'first');
  assert.equal(calls.take(0), undefined);
  assert.equal(calls.size, 0);
});

test('calls that come and go are those of a Map, also when some stay for long', () => {
  const seed = 20_261_126;
  console.log(`seed ${seed}`);
  const random = new SeededRandom(seed);
  const calls = new PendingCalls<number>();
  const model = new Map<number, number>();
  for (let call = 0; call < 50_000; call += 1) {
    const number = calls.add(call);
    assert.ok(number > 0 && !model.has(number), 'a number is nobody else’s');
    model.set(number, call);
    const most = call < 25_000 ? 300 : 5;
    while (model.size > most) {
      const at = [...model.keys()][random.below(model.size)] as number;
      assert.equal(calls.take(at), model.get(at));
      model.delete(at);
    }
    assert.equal(calls.size, model.size);
  }
  const even = [...model.values()].filter((call) => call % 2 === 0);
  assert.deepEqual(
    calls.takeWhere((call) => call % 2 === 0),
    even,
  );
  assert.equal(calls.size, model.size - even.length);
});

test('a late answer does not meet a call that has its place', () => {
  const calls = new PendingCalls<string>();
  const late = calls.add('late');
  calls.take(late);
  for (let at = 0; at < 1_000; at += 1) {
    const number = calls.add('other');
    assert.equal(calls.take(late), undefined);
    calls.take(number);
  }
});

/** Prints by how many bytes the old space has grown when 16 MB of calls were answered. */
const CHILD = `
  const { getHeapSpaceStatistics } = await import('node:v8');
  const { PendingCalls } = await import(process.argv[1]);
  const oldBytes = () =>
    getHeapSpaceStatistics().find((one) => one.space_name === 'old_space').space_used_size;
  const calls = new PendingCalls();
  const waiting = Array.from({ length: 8 }, () => calls.add([]));
  gc();
  gc();
  const before = oldBytes();
  for (let call = 0; call < 2_000; call += 1) {
    waiting.push(calls.add(Array.from({ length: 1_000 }, () => call + 0.5)));
    if (call % 100 === 0) gc({ type: 'minor' });
    calls.take(waiting.shift());
  }
  console.log(oldBytes() - before);
`;

test('what was answered is gone at the next young collection', () => {
  const module = new URL('./pending-calls.ts', import.meta.url).href;
  const flags = ['--expose-gc', '--input-type=module', '-e', CHILD, module];
  const grown = Number(execFileSync(process.execPath, flags, { encoding: 'utf8' }));
  assert.ok(grown < 4 * 2 ** 20, `${grown} bytes have grown old`);
});
