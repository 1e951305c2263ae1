/** The power goes at every point of writing archives: none is half there under its name, and none that was there is gone. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { byProfile } from '../harness/profile.ts';
import { takeSeed } from '../harness/seed.ts';
import { type CensusStep, censusPlanOf, openArchive, textOf } from './census-plan.ts';
import { type CheckFolder, CutRun } from './cut-run.ts';
import { parseJournal } from './journal.ts';
import { quickFolder, Shim } from './shim.ts';

const WORKLOAD = new URL('./census-workload.ts', import.meta.url);
const DAYS = byProfile(3, 12);

test('archives of censuses: a power cut at any point leaves each whole or not at all', async (t) => {
  const seed = takeSeed(t, 20_270_105);
  const shim = Shim.build();
  if (!(shim instanceof Shim)) return t.skip(`power cuts are not tested: ${shim.missing}`);
  const folder = quickFolder(t);
  const { journal } = await shim.run(folder, WORKLOAD, [seed, DAYS].map(String));
  const run = new CutRun(t, { seed, check: checkArchives(seed) });
  await run.run(parseJournal(journal), folder);
  t.diagnostic(`${run.strict} strict folders, ${run.torn} torn ones`);
  assert.ok(run.strict > 20 && run.torn > 5);
});

function textOfStep({ lines }: CensusStep): string | undefined {
  return lines?.map((line) => `${JSON.stringify(line)}\n`).join('');
}

/** What may be under each name: as after the last step that was acknowledged, or one that had begun by then. */
function checkArchives(seed: number): CheckFolder {
  const plan = censusPlanOf(seed, DAYS);
  return async (dataDir, { acknowledged }, { began }) => {
    const folder = join(dataDir, 'coordinator');
    const census = join(folder, 'census');
    if (!existsSync(census)) return assert.equal(acknowledged.size, 0);
    const archive = openArchive(folder);
    await archive.start();
    const there = new Set(readdirSync(census));
    for (const file of new Set([...plan.map(({ seal }) => seal.file), ...there])) {
      const steps = plan.map((step, number) => ({ step, number }));
      const own = steps.filter(({ step }) => step.seal.file === file);
      const done = own.findLast(({ number }) => acknowledged.has(number));
      const open = own.filter(({ number }) => number < began && number > (done?.number ?? -1));
      const possible = [done && textOfStep(done.step), ...open.map(({ step }) => textOfStep(step))];
      const found = there.has(file) ? await textOf(archive, file) : undefined;
      assert.ok(possible.includes(found), `${file} is as after one of its steps`);
    }
  };
}
