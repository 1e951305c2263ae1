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
import { ShardCheck } from './shard-check.ts';
import { planOf } from './shard-plan.ts';
import { Threads } from './shard-worker.ts';
import { quickFolder, Shim } from './shim.ts';

const SHARD_WORKLOAD = new URL('./shard-workload.ts', import.meta.url);
const CONTROL_WORKLOAD = new URL('./control-workload.ts', import.meta.url);
const SHARD_ROUNDS = IS_LONG ? 16 : 4;
const CONTROL_ROUNDS = IS_LONG ? 12 : 4;
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
