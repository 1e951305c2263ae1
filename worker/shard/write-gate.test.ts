import assert from 'node:assert/strict';
import { test } from 'node:test';
import { WriteGate } from './write-gate.ts';

test('shared writes overlap, an exclusive one runs alone, later ones wait for it', async () => {
  const gate = new WriteGate();
  const log: string[] = [];
  const job = (name: string) => {
    const { promise, resolve } = Promise.withResolvers<void>();
    const run = async () => {
      log.push(`${name} starts`);
      await promise;
      log.push(`${name} ends`);
    };
    return { run, end: resolve };
  };
  const [a, b, c, d] = [job('a'), job('b'), job('c'), job('d')];
  const all = [gate.shared(a.run), gate.shared(b.run), gate.exclusive(c.run), gate.shared(d.run)];
  for (const each of [d, c, b, a]) each.end();
  await Promise.all(all);
  await gate.idle();
  const at = (line: string) => log.indexOf(line);
  assert.ok(at('b starts') < at('a ends'), 'a and b overlap');
  assert.ok(at('c starts') > at('a ends') && at('c starts') > at('b ends'));
  assert.ok(at('d starts') > at('c ends'));
});

test('a failed write reaches its caller and nobody else', async () => {
  const gate = new WriteGate();
  const fail = () => Promise.reject(new Error('disk'));
  const shared = gate.shared(fail);
  const exclusive = gate.exclusive(fail);
  const after = gate.shared(async () => 7);
  await assert.rejects(shared, /disk/);
  await assert.rejects(exclusive, /disk/);
  assert.equal(await after, 7);
});
