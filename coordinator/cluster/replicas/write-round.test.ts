/** What a write at several replicas comes to. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../../shared/base/clock.ts';
import { AppError } from '../../../shared/errors/app-error.ts';
import type { Written } from '../../../shared/protocol/schema.ts';
import { gather, isByFilter, judge, rowsOf } from './write-round.ts';

const LAG_MS = 1_000;
const WRITTEN: Written = { version: 7, points: 1, bytes: 8, digest: 3 };

async function settled(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await Promise.resolve();
}

/** Two attempts; the first ends after `firstMs`, the second `lateMs` later. What was heard of them. */
async function afterMs(firstMs: number, lateMs: number): Promise<string[]> {
  const clock = new ManualClock();
  const [first, second] = [Promise.withResolvers<Written>(), Promise.withResolvers<Written>()];
  const attempts = [first.promise, second.promise];
  const gathered = gather(attempts, { clock, lagMs: LAG_MS, byFilter: false });
  clock.advance(firstMs);
  first.resolve(WRITTEN);
  await settled();
  clock.advance(lateMs);
  await settled();
  second.resolve(WRITTEN);
  return (await gathered).map(({ kind }) => kind);
}

test('a late replica is waited for as long as a write takes, and a second at least', async () => {
  assert.deepEqual(await afterMs(5, LAG_MS - 1), ['written', 'written']);
  assert.deepEqual(await afterMs(5, LAG_MS), ['written', 'unknown']);
  assert.deepEqual(await afterMs(8_000, 7_999), ['written', 'written']);
  assert.deepEqual(await afterMs(8_000, 8_000), ['written', 'unknown']);
});

for (const [code, byFilter, kind] of [
  ['quota_exceeded', false, 'refused'],
  ['quota_exceeded', true, 'unknown'],
  ['point_not_found', false, 'refused'],
  ['overloaded', true, 'refused'],
  ['write_outcome_unknown', false, 'unknown'],
  ['shard_damaged', false, 'unknown'],
] as const) {
  const what = byFilter ? 'a write by filter' : 'a write';
  test(`${what} that ends in ${code} everywhere is ${kind}`, async () => {
    const failing = () => Promise.reject(new AppError(code));
    const clock = new ManualClock();
    const outcomes = await gather([failing(), failing()], { clock, lagMs: LAG_MS, byFilter });
    const verdict = judge(outcomes);
    assert.ok(verdict.kind === kind);
    // The caller hears what was wrong in either case.
    assert.equal((verdict.error as AppError).code, code);
  });
}

test('points are counted that a write names', () => {
  assert.equal(rowsOf({ ids: [1, 2, 3], names: [''] }), 3);
  assert.equal(rowsOf({ points: { kind: 'ids', ids: [1, 2] } }), 2);
  assert.equal(rowsOf({ points: { kind: 'filter', filter: {} } }), 1);
});

test('a write by filter is known by its body', () => {
  assert.ok(isByFilter({ points: { kind: 'filter', filter: { must: [] } } }));
  assert.ok(!isByFilter({ points: { kind: 'ids', ids: [1] } }));
  assert.ok(!isByFilter({ ids: [1], names: [''] }));
});
