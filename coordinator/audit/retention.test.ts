import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '../../shared/base/clock.ts';
import type { Log } from '../../shared/log/log.ts';
import type { LedgerQuestions, Pruned, PruneStep, QuestionName } from '../ledger/entries.ts';
import { Retention } from './retention.ts';

const NOW = Date.parse('2026-11-27T10:00:00.000Z');
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** A ledger of chains, each with so many steps to do. */
function start(
  chains: Record<string, number>,
  { failing = new Set<string>(), isSteady = true } = {},
) {
  const clock = new ManualClock(NOW);
  const events: string[] = [];
  const steps: PruneStep[] = [];
  const log: Log = {
    event: (name, fields) => void events.push(`${name} ${JSON.stringify(fields)}`),
  };
  const ask = async <N extends QuestionName>(name: N, about: LedgerQuestions[N]['about']) => {
    assert.equal(name, 'audit-chains');
    const { after, limit } = about as LedgerQuestions['audit-chains']['about'];
    const names = Object.keys(chains)
      .toSorted()
      .filter((chain) => chain > after);
    return names.slice(0, limit) as LedgerQuestions[N]['answer'];
  };
  const prune = async (step: PruneStep): Promise<Pruned> => {
    if (failing.has(step.chain)) throw new Error('the disk is full');
    steps.push(step);
    const left = chains[step.chain] ?? 0;
    chains[step.chain] = left - 1;
    return { entries: left > 1 ? 10 : 0, more: left > 1 };
  };
  const steady = { isSteady: () => isSteady };
  const daysOf = (chain: string) => (chain === 'cl_short' ? 1 : 30);
  const retention = new Retention({ ledger: { ask, prune }, daysOf, clock, log, steady });
  return { clock, events, steps, retention };
}

async function passing(clock: ManualClock, ms: number): Promise<void> {
  for (let i = 0; i < 20; i += 1) await Promise.resolve();
  clock.advance(ms);
  for (let i = 0; i < 20; i += 1) await Promise.resolve();
}

test('a clock that was just set prunes nothing', async () => {
  const { clock, steps, retention } = start({ cl_long: 3 }, { isSteady: false });
  retention.start();
  for (let hour = 0; hour < 5; hour += 1) await passing(clock, HOUR_MS);
  assert.deepEqual(steps, []);
  await retention.close();
});

test('each chain is pruned by what it is kept for, with a pause after each step', async () => {
  const { clock, events, steps, retention } = start({ cl_long: 1, cl_short: 3, operators: 1 });
  retention.start();
  await passing(clock, 0);
  assert.deepEqual(
    steps.map(({ chain, before }) => [chain, (NOW - before) / DAY_MS]),
    [
      ['cl_long', 30],
      ['cl_short', 1],
    ],
  );
  await passing(clock, 20);
  assert.equal(steps.length, 3);
  await passing(clock, 20);
  assert.deepEqual(
    steps.slice(2).map(({ chain, now }) => [chain, now]),
    [
      ['cl_short', NOW],
      ['cl_short', NOW],
      ['operators', NOW + 40],
    ],
  );
  assert.deepEqual(events, ['audit_pruned {"chain":"cl_short","entries":20}']);
  await passing(clock, HOUR_MS);
  assert.equal(steps.length, 8);
  await retention.close();
  await passing(clock, HOUR_MS);
  assert.equal(steps.length, 8);
});

test('a chain that can not be pruned keeps no other from it, and is tried again', async () => {
  const failing = new Set(['cl_a']);
  const { clock, events, steps, retention } = start({ cl_a: 1, cl_b: 1 }, { failing });
  retention.start();
  await passing(clock, 0);
  assert.deepEqual(
    steps.map(({ chain }) => chain),
    ['cl_b'],
  );
  assert.match(events.join(), /^audit_prune_failed .*"cl_a"/);
  failing.clear();
  await passing(clock, HOUR_MS);
  assert.deepEqual(
    steps.map(({ chain }) => chain),
    ['cl_b', 'cl_a', 'cl_b'],
  );
  await retention.close();
});

test('the end does not wait for a pause', async () => {
  const { clock, steps, retention } = start({ cl_a: 1_000 });
  retention.start();
  await passing(clock, 0);
  await retention.close();
  assert.equal(steps.length, 1);
});
