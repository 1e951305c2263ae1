/**
 * A disk that fails at every call of a worker's life, or is full from there on: what is not durable is
 * not acknowledged, what was refused is not there, reads go on, and when the disk is well again so does
 * everything else. Then the power is cut, too.
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { takeProfile } from '../harness/profile.ts';
import { takeSeed } from '../harness/seed.ts';
import { FaultCuts } from './fault-cuts.ts';
import type { FaultReport, FaultSettings } from './fault-workload.ts';
import { parseJournal } from './journal.ts';
import { quickFolder, Shim } from './shim.ts';

const WORKLOAD = new URL('./fault-workload.ts', import.meta.url);
const SUCCESSOR = new URL('./shard-successor.ts', import.meta.url);
const IS_LONG = takeProfile() === 'long';
const ROUNDS = IS_LONG ? 5 : 3;
/** Calls at which a process dies, one of so many, and how many of them. */
const DEATHS = IS_LONG ? { step: 2, most: 100 } : { step: 17, most: 4 };
/** In a long run, one of so many calls fails. */
const LONG_STEP = 3;

interface Fault {
  name: string;
  fault: string;
  diskReserveBytes?: number;
  /** In a short run, one of so many calls fails. */
  step: number;
  /** No delete is refused. */
  deletesGoOn?: true;
}

const FAULTS: readonly Fault[] = [
  { name: 'a sync fails', fault: 'sync N once', step: 6 },
  { name: 'all syncs fail from one on', fault: 'sync N always', step: 11 },
  { name: 'a write fails', fault: 'write N once', step: 97 },
  { name: 'all writes fail from one on', fault: 'write N always', step: 101 },
  { name: 'the disk is full from a write on', fault: 'space N 0', step: 97 },
  {
    name: 'the disk is full from a write on, but for the reserve',
    fault: 'space N 2000000',
    diskReserveBytes: 1_950_000,
    step: 101,
    deletesGoOn: true,
  },
];

function shimOr(t: TestContext): Shim | undefined {
  const shim = Shim.build(t);
  if (shim instanceof Shim) return shim;
  t.skip(`faults of the disk are not tested: ${shim.missing}`);
  return undefined;
}

for (const { name, fault, diskReserveBytes = 0, step, deletesGoOn } of FAULTS) {
  test(`${name}: nothing acknowledged is lost, nothing refused is there`, async (t) => {
    const seed = takeSeed(t, 20_270_103);
    const shim = shimOr(t);
    if (shim === undefined) return;
    const every = !IS_LONG ? step : fault.startsWith('sync') ? 1 : LONG_STEP;
    const calls = { from: 1 + (seed % every), step: every };
    const settings: FaultSettings = { seed, rounds: ROUNDS, fault, diskReserveBytes, ...calls };
    const folder = quickFolder(t);
    const { journal, output } = await shim.run(folder, WORKLOAD, [JSON.stringify(settings)]);
    const report: FaultReport = JSON.parse(output);
    const cuts = new FaultCuts(t, { seed, share: IS_LONG ? 1 : 0.3 });
    cuts.follow(parseJournal(journal));
    t.diagnostic(JSON.stringify({ ...report, cuts: cuts.cuts }));
    assert.ok(report.runs >= 5, `${report.runs} calls failed`);
    if (deletesGoOn === undefined) return;
    const refused = Object.keys(report.refused).filter((ending) => ending.startsWith('delete'));
    assert.deepEqual(refused, [], 'deletes go on');
  });
}

test('a process dies of a failed sync, and what the next one writes is not lost with it', async (t) => {
  const seed = takeSeed(t, 20_270_103);
  const shim = shimOr(t);
  if (shim === undefined) return;
  let cuts = 0;
  let deaths = 0;
  const first = 1 + (seed % DEATHS.step);
  for (let call = first; deaths < DEATHS.most; call += DEATHS.step) {
    const settings: FaultSettings = {
      ...{ seed, rounds: ROUNDS, diskReserveBytes: 0 },
      ...{ fault: 'sync N always', from: call, step: 1_000_000, dies: true },
    };
    const folder = quickFolder(t);
    const how = { isKilled: true };
    const { output } = await shim.run(folder, WORKLOAD, [JSON.stringify(settings)], how);
    if (output !== '') break;
    deaths += 1;
    const { journal } = await shim.run(folder, SUCCESSOR, [`run-${call}`]);
    const following = new FaultCuts(t, { seed, share: 1 });
    following.follow(parseJournal(journal));
    cuts += following.cuts;
  }
  t.diagnostic(`${deaths} deaths, ${cuts} cuts after them`);
  assert.ok(deaths >= 3 && cuts >= 6);
});
