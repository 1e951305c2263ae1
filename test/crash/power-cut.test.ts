/** The power goes at every point: what was acknowledged is there, and nothing stands half done. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ClientId } from '../../shared/base/ids.ts';
import { cleanUp } from '../harness/cleanup.ts';
import { IS_LONG } from '../harness/profile.ts';
import { takeSeed } from '../harness/seed.ts';
import { controlDumpsOf, dumpControl, openControl } from './control-plan.ts';
import { type CheckFolder, CutRun } from './cut-run.ts';
import { parseJournal } from './journal.ts';
import {
  checkAnchorFiles,
  checkChains,
  checkPruned,
  dumpLedger,
  ledgerDumpsOf,
  ledgerPlanOf,
  openLedgerDb,
  takeStep,
} from './ledger-plan.ts';
import { ShardCheck } from './shard-check.ts';
import { planOf } from './shard-plan.ts';
import { Threads } from './shard-worker.ts';
import { quickFolder, Shim } from './shim.ts';

const SHARD_WORKLOAD = new URL('./shard-workload.ts', import.meta.url);
const CONTROL_WORKLOAD = new URL('./control-workload.ts', import.meta.url);
const LEDGER_WORKLOAD = new URL('./ledger-workload.ts', import.meta.url);
const SHARD_ROUNDS = IS_LONG ? 16 : 4;
const CONTROL_ROUNDS = IS_LONG ? 12 : 4;
const LEDGER_STEPS = IS_LONG ? 90 : 30;
const LATE = 'cl_lateaaaaaaaaaaaa' as ClientId;

function shimOr(t: TestContext): Shim | undefined {
  const shim = Shim.build();
  if (shim instanceof Shim) return shim;
  t.skip(`power cuts are not tested: ${shim.missing}`);
  return undefined;
}

test('shards: a power cut at any point loses no acknowledged write', async (t) => {
  const seed = takeSeed(t, 20_270_103);
  const shim = shimOr(t);
  if (shim === undefined) return;
  const folder = quickFolder(t);
  const args = [seed, SHARD_ROUNDS].map(String);
  const { journal } = await shim.run(folder, SHARD_WORKLOAD, args);
  const records = parseJournal(journal);
  const check = await openShardCheck(t, seed);
  const run = new CutRun(t, {
    seed,
    check: (dataDir, least, most) => check.check(dataDir, least, most),
    note: (mark) => check.note(mark),
  });
  await run.run(records, folder);
  t.diagnostic(`${records.length} points, ${run.strict} strict folders, ${run.torn} torn ones`);
  assert.ok(run.strict > 60 && run.torn > 30);
});

async function openShardCheck(t: TestContext, seed: number): Promise<ShardCheck> {
  const threads = new Threads({ handlesMax: 8 });
  await threads.start();
  cleanUp(t, () => threads.close());
  return new ShardCheck(planOf(seed, SHARD_ROUNDS), threads);
}

test('control.db: a power cut at any point loses no acknowledged change', async (t) => {
  const seed = takeSeed(t, 20_270_103);
  const shim = shimOr(t);
  if (shim === undefined) return;
  const folder = quickFolder(t);
  const args = [seed, CONTROL_ROUNDS].map(String);
  const { journal } = await shim.run(folder, CONTROL_WORKLOAD, args);
  const records = parseJournal(journal);
  const run = new CutRun(t, { seed, check: checkControl(t, seed) });
  await run.run(records, folder);
  t.diagnostic(`${records.length} points, ${run.strict} strict folders, ${run.torn} torn ones`);
  assert.ok(run.strict > 40 && run.torn > 20);
});

/** Each change is one transaction, so the tables are as after some number of them. */
function checkControl(t: TestContext, seed: number): CheckFolder {
  const expected = controlDumpsOf(join(quickFolder(t), 'control.db'), seed, CONTROL_ROUNDS);
  return async (dataDir, { acknowledged }, { began }) => {
    const file = join(dataDir, 'coordinator', 'control.db');
    openControl(file).close();
    const found = expected.indexOf(dumpControl(file), acknowledged.size);
    const between = `after ${acknowledged.size} to ${began} changes, not ${found}`;
    assert.ok(found >= acknowledged.size && found <= began, between);
    const again = openControl(file);
    again.clients.create({ clientId: LATE, name: 'late' });
    assert.ok(again.clients.get(LATE) !== undefined, 'it goes on');
    again.close();
  };
}

test('ledger.db: a power cut at any point loses nothing that was written, and no signed head lies', async (t) => {
  const seed = takeSeed(t, 20_270_104);
  const shim = shimOr(t);
  if (shim === undefined) return;
  const folder = quickFolder(t);
  const args = [seed, LEDGER_STEPS].map(String);
  const { journal } = await shim.run(folder, LEDGER_WORKLOAD, args);
  const records = parseJournal(journal);
  const run = new CutRun(t, { seed, check: checkLedger(t, seed) });
  await run.run(records, folder);
  t.diagnostic(`${records.length} points, ${run.strict} strict folders, ${run.torn} torn ones`);
  assert.ok(run.strict > 40 && run.torn > 20);
});

/** Each batch is one transaction; a head is signed for what is on the disk. */
function checkLedger(t: TestContext, seed: number): CheckFolder {
  const expected = ledgerDumpsOf(join(quickFolder(t), 'ledger.db'), seed, LEDGER_STEPS);
  const plan = ledgerPlanOf(seed, LEDGER_STEPS);
  const anchorsIn = (steps: number) => plan.slice(0, steps).filter((step) => step === 'anchor');
  return async (dataDir, { acknowledged }, { began }) => {
    const file = join(dataDir, 'coordinator', 'ledger.db');
    const db = openLedgerDb(file);
    const anchors = checkChains(db);
    assert.ok(anchors >= anchorsIn(acknowledged.size).length, 'what was anchored is there');
    db.close();
    checkPruned(join(dataDir, 'coordinator'));
    const found = expected.indexOf(dumpLedger(file), acknowledged.size);
    const between = `after ${acknowledged.size} to ${began} steps, not ${found}`;
    assert.ok(found >= acknowledged.size && found <= began, between);
    // Sent again, a batch changes nothing; and it goes on.
    const again = openLedgerDb(file);
    for (const [number, step] of plan.slice(0, found + 2).entries()) takeStep(again, step, number);
    checkChains(again);
    again.close();
    checkAnchorFiles(join(dataDir, 'coordinator'));
    const next = expected[Math.min(found + 2, plan.length)];
    assert.equal(dumpLedger(file), next, 'batches after it follow');
  };
}
