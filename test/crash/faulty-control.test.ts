/**
 * A disk that fails at every sync and write of `control.db`: a change that was refused is not there,
 * one that was acknowledged survives whatever the failed sync has let go of, and a coordinator that dies
 * of it leaves nothing to its successor that a power cut takes away with what is built on it.
 */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { SeededRandom } from '../../shared/base/random.ts';
import { takeProfile } from '../harness/profile.ts';
import { takeSeed } from '../harness/seed.ts';
import type { ControlFaultSettings } from './control-fault-workload.ts';
import { controlDumpsOf, dumpControl, openControl } from './control-plan.ts';
import { DiskModel } from './disk-model.ts';
import { parseJournal } from './journal.ts';
import { parseMark } from './marks.ts';
import { quickFolder, Shim } from './shim.ts';

const WORKLOAD = new URL('./control-fault-workload.ts', import.meta.url);
const IS_LONG = takeProfile() === 'long';
const ROUNDS = IS_LONG ? 4 : 2;
const SECTOR_BYTES = 512;

/** One of so many calls fails, in a short run and in a long one: each is a process or two. */
const FAULTS = [
  { fault: 'sync N once', dies: false, step: 7, long: 1 },
  { fault: 'write N always', dies: false, step: 41, long: 5 },
  { fault: 'space N 0', dies: false, step: 41, long: 5 },
  { fault: 'sync N always', dies: true, step: 9, long: 1 },
] as const;

for (const { fault, dies, ...steps } of FAULTS) {
  const name = dies ? `${fault}, and the process dies` : fault;
  test(`control.db with ${name}: nothing acknowledged is lost`, async (t) => {
    const seed = takeSeed(t, 20_270_103);
    const shim = Shim.build(t);
    if (!(shim instanceof Shim)) {
      t.skip(`faults of the disk are not tested: ${shim.missing}`);
      return;
    }
    const dumps = controlDumpsOf(join(quickFolder(t), 'control.db'), seed, ROUNDS);
    const cuts = new ControlCuts(t, seed, dumps);
    let runs = 0;
    const step = IS_LONG ? steps.long : steps.step;
    for (let call = 1 + (seed % step); ; call += step) {
      const order = fault.replace('N', String(call));
      const settings = { seed, rounds: ROUNDS, fault: order, dies };
      const journal = await runOnce(shim, quickFolder(t), settings);
      if (journal === undefined) break;
      runs += 1;
      cuts.follow(journal);
    }
    t.diagnostic(`${runs} calls failed, ${cuts.count} cuts after them`);
    assert.ok(runs >= 3 && cuts.count >= 10);
  });
}

/** Undefined when there was no such call. */
async function runOnce(
  shim: Shim,
  folder: string,
  settings: ControlFaultSettings,
): Promise<Buffer | undefined> {
  const args = [JSON.stringify(settings)];
  const { journal, output } = await shim.run(folder, WORKLOAD, args, { isKilled: settings.dies });
  if (output !== '') return JSON.parse(output).wasReached ? journal : undefined;
  const { seed, rounds } = settings;
  const again: ControlFaultSettings = { seed, rounds, dies: false };
  return (await shim.run(folder, WORKLOAD, [JSON.stringify(again)])).journal;
}

/** Cuts the power after what was acknowledged once a call had failed. */
class ControlCuts {
  count = 0;
  readonly #scratch: string;
  readonly #random: SeededRandom;
  readonly #dumps: readonly string[];

  constructor(t: TestContext, seed: number, dumps: readonly string[]) {
    this.#scratch = quickFolder(t);
    this.#random = new SeededRandom(seed);
    this.#dumps = dumps;
  }

  follow(journal: Buffer): void {
    const disk = new DiskModel();
    let hadFault = false;
    for (const record of parseJournal(journal)) {
      disk.apply(record);
      if (record.kind === 'fault') hadFault = true;
      const mark = record.kind === 'mark' ? parseMark(record.data) : undefined;
      if (mark === undefined || !('acknowledged' in mark) || !hadFault) continue;
      if (IS_LONG || this.#random.below(3) === 0) this.#cut(disk, mark.acknowledged + 1);
    }
  }

  #cut(disk: DiskModel, changes: number): void {
    this.count += 1;
    const left = join(this.#scratch, 'left');
    mkdirSync(left);
    const random = this.#random;
    const isStrict = random.below(2) === 0;
    disk.restore(
      left,
      isStrict ? { kind: 'strict' } : { kind: 'torn', random, sectorBytes: SECTOR_BYTES },
    );
    const file = join(left, 'data', 'coordinator', 'control.db');
    openControl(file).close();
    assert.equal(dumpControl(file), this.#dumps[changes], `it is as after ${changes} changes`);
    rmSync(left, { recursive: true });
  }
}
