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
import { IS_LONG } from '../harness/profile.ts';
import { takeSeed } from '../harness/seed.ts';
import type { ControlFaultSettings } from './control-fault-workload.ts';
import { controlDumpsOf, dumpControl, openControl } from './control-plan.ts';
import { DiskModel } from './disk-model.ts';
import { parseJournal } from './journal.ts';
import { parseMark } from './marks.ts';
import { quickFolder, Shim } from './shim.ts';

const WORKLOAD = new URL('./control-fault-workload.ts', import.meta.url);
const ROUNDS = IS_LONG ? 4 : 2;
const SECTOR_BYTES = 512;
/** Beyond all calls of a plan. */
const ONCE = 1_000_000;

/** In a short run, one of so many calls fails. */
const FAULTS = [
  { fault: 'sync N once', step: 4 },
  { fault: 'write N always', step: 37 },
  { fault: 'space N 0', step: 37 },
];

function shimOr(t: TestContext): Shim | undefined {
  const shim = Shim.build();
  if (shim instanceof Shim) return shim;
  t.skip(`faults of the disk are not tested: ${shim.missing}`);
  return undefined;
}

function controlCuts(t: TestContext, seed: number): ControlCuts {
  return new ControlCuts(t, seed, controlDumpsOf(join(quickFolder(t), 'control.db'), seed, ROUNDS));
}

for (const { fault, step } of FAULTS) {
  test(`control.db with ${fault}: nothing acknowledged is lost`, async (t) => {
    const seed = takeSeed(t, 20_270_103);
    const shim = shimOr(t);
    if (shim === undefined) return;
    const every = IS_LONG ? 1 : step;
    const calls = { from: 1 + (seed % every), step: every };
    const settings = { seed, rounds: ROUNDS, fault, dies: false, ...calls };
    const { journal, output } = await shim.run(quickFolder(t), WORKLOAD, [toArgument(settings)]);
    const cuts = controlCuts(t, seed);
    cuts.follow(journal);
    t.diagnostic(`${output} calls failed, ${cuts.count} cuts after them`);
    assert.ok(Number(output) >= 5 && cuts.count >= 20);
  });
}

test('control.db: a coordinator dies of a failed sync, and its successor loses nothing', async (t) => {
  const seed = takeSeed(t, 20_270_103);
  const shim = shimOr(t);
  if (shim === undefined) return;
  const cuts = controlCuts(t, seed);
  const step = IS_LONG ? 1 : 13;
  let deaths = 0;
  for (let call = 1 + (seed % step); ; call += step, deaths += 1) {
    const folder = quickFolder(t);
    const life = { seed, rounds: ROUNDS, from: call, step: ONCE };
    const dying = toArgument({ ...life, fault: 'sync N always', dies: true });
    if ((await shim.run(folder, WORKLOAD, [dying], { isKilled: true })).output !== '') break;
    cuts.follow((await shim.run(folder, WORKLOAD, [toArgument({ ...life, dies: false })])).journal);
  }
  t.diagnostic(`${deaths} deaths, ${cuts.count} cuts after them`);
  assert.ok(deaths >= 2 && cuts.count >= 5);
});

function toArgument(settings: ControlFaultSettings): string {
  return JSON.stringify(settings);
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
    let run = '';
    let hadFault = false;
    for (const record of parseJournal(journal)) {
      disk.apply(record);
      if (record.kind === 'fault') hadFault = true;
      const mark = record.kind === 'mark' ? parseMark(record.data) : undefined;
      if (mark === undefined) continue;
      if ('run' in mark && mark.run !== run) {
        ({ run } = mark);
        hadFault = false;
      }
      if (!('acknowledged' in mark) || !hadFault) continue;
      if (IS_LONG || this.#random.below(3) === 0) this.#cut(disk, run, mark.acknowledged + 1);
    }
  }

  #cut(disk: DiskModel, run: string, changes: number): void {
    this.count += 1;
    const left = join(this.#scratch, 'left');
    mkdirSync(left);
    const random = this.#random;
    const isStrict = random.below(2) === 0;
    disk.restore(
      left,
      isStrict ? { kind: 'strict' } : { kind: 'torn', random, sectorBytes: SECTOR_BYTES },
      [run],
    );
    const file = join(left, 'control.db');
    openControl(file).close();
    assert.equal(dumpControl(file), this.#dumps[changes], `it is as after ${changes} changes`);
    rmSync(left, { recursive: true });
  }
}
