/**
 * A disk that fails at every call of a worker's life, or is full from there on: what is not durable is
 * not acknowledged, what was refused is not there, reads go on, and when the disk is well again so does
 * everything else. Then the power is cut, too.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { must } from '../../shared/base/assert.ts';
import { IS_LONG } from '../harness/profile.ts';
import { takeSeed } from '../harness/seed.ts';
import { FaultCuts } from './fault-cuts.ts';
import type { FaultReport, FaultSettings } from './fault-workload.ts';
import { parseJournal } from './journal.ts';
import { quickFolder, Shim } from './shim.ts';

const WORKLOAD = new URL('./fault-workload.ts', import.meta.url);
const SUCCESSOR = new URL('./shard-successor.ts', import.meta.url);
const ROUNDS = IS_LONG ? 5 : 2;
/** Calls at which a process dies, one of so many, and how many of them. */
const DEATHS = IS_LONG ? { step: 2, most: 100 } : { step: 29, most: 2 };
/** Beyond all calls of a plan. */
const ONCE = 1_000_000;

interface TriedFault {
  order: string;
  diskReserveBytes?: number;
  /** One of so many calls fails, in a short run and in a long one. */
  step: number;
  long: number;
  /** No delete is refused. */
  deletesGoOn?: true;
}

const FAULTS: readonly TriedFault[] = [
  { order: 'sync N once', step: 8, long: 1 },
  { order: 'sync N always', step: 13, long: 1 },
  { order: 'write N once', step: 109, long: 3 },
  { order: 'write N always', step: 113, long: 3 },
  { order: 'space N 0', step: 127, long: 3 },
  {
    order: 'space N 2000000',
    diskReserveBytes: 1_950_000,
    step: 139,
    long: 3,
    deletesGoOn: true,
  },
];

function shimOr(t: TestContext): Shim | undefined {
  const shim = Shim.build();
  if (shim instanceof Shim) return shim;
  t.skip(`faults of the disk are not tested: ${shim.missing}`);
  return undefined;
}

test('a call of the disk fails: nothing acknowledged is lost, nothing refused is there', async (t) => {
  const seed = takeSeed(t, 20_270_103);
  const shim = shimOr(t);
  if (shim === undefined) return;
  const faults = FAULTS.map(({ order, diskReserveBytes = 0, ...steps }) => {
    const step = IS_LONG ? steps.long : steps.step;
    return { order, diskReserveBytes, from: 1 + (seed % step), step };
  });
  const settings: FaultSettings = { seed, rounds: ROUNDS, faults };
  const args = [JSON.stringify(settings)];
  const { journal, output } = await shim.run(quickFolder(t), WORKLOAD, args);
  const reports: FaultReport[] = JSON.parse(output);
  for (const [i, { order, deletesGoOn }] of FAULTS.entries()) {
    const report = must(reports[i], 'one report a fault');
    t.diagnostic(`${order}: ${JSON.stringify(report)}`);
    assert.ok(report.runs >= 3, `${order}: ${report.runs} calls failed`);
    if (deletesGoOn === undefined) continue;
    const refused = Object.keys(report.refused).filter((ending) => ending.startsWith('delete'));
    assert.deepEqual(refused, [], 'deletes go on');
  }
  const cuts = new FaultCuts(t, { seed, share: IS_LONG ? 1 : 0.3 });
  cuts.follow(parseJournal(journal));
  t.diagnostic(`${cuts.cuts} cuts after faults`);
  assert.ok(cuts.cuts >= 20);
});

test('a process dies of a failed sync, and what the next one writes is not lost with it', async (t) => {
  const seed = takeSeed(t, 20_270_103);
  const shim = shimOr(t);
  if (shim === undefined) return;
  let cuts = 0;
  let deaths = 0;
  const first = 1 + (seed % DEATHS.step);
  for (let call = first; deaths < DEATHS.most; call += DEATHS.step) {
    const fault = { order: 'sync N always', diskReserveBytes: 0, from: call, step: ONCE };
    const settings: FaultSettings = { seed, rounds: ROUNDS, faults: [fault], dies: true };
    const folder = quickFolder(t);
    const how = { isKilled: true };
    const { output } = await shim.run(folder, WORKLOAD, [JSON.stringify(settings)], how);
    if (output !== '') break;
    deaths += 1;
    const { journal } = await shim.run(folder, SUCCESSOR, [`run-0-${call}`]);
    const following = new FaultCuts(t, { seed, share: 1 });
    following.follow(parseJournal(journal));
    cuts += following.cuts;
  }
  t.diagnostic(`${deaths} deaths, ${cuts} cuts after them`);
  assert.ok(deaths >= 1 && cuts >= 2);
});
