/**
 * A watched program: does a plan again and again, in a folder of its own each time, on a disk that
 * fails in some way at another call each time. ROOT MARKS SETTINGS, which are JSON of `FaultSettings`;
 * prints JSON of a `FaultReport` for each fault.
 */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type FaultCounts, FaultRun } from './fault-run.ts';
import { Marks } from './marks.ts';
import { planOf } from './shard-plan.ts';
import { Threads } from './shard-worker.ts';

export interface FaultSettings {
  seed: number;
  rounds: number;
  faults: readonly Fault[];
  /** The process kills itself as soon as a write has ended badly. */
  dies?: boolean;
}

export interface Fault {
  /** An order of the shim with `N` where the number of the call stands. */
  order: string;
  diskReserveBytes: number;
  /** The calls that fail: this one and then each so many further, until there is no such call. */
  from: number;
  step: number;
}

export interface FaultReport extends FaultCounts {
  /** In which a call failed. */
  runs: number;
}

const [root = '', marksPath = '', settings = ''] = process.argv.slice(2);
const { seed, rounds, faults, dies = false }: FaultSettings = JSON.parse(settings);
const marks = new Marks(marksPath);
const reports: FaultReport[] = [];
for (const [number, fault] of faults.entries()) reports.push(await tryFault(fault, number));
process.stdout.write(JSON.stringify(reports));

async function tryFault(fault: Fault, number: number): Promise<FaultReport> {
  const threads = new Threads(fault);
  await threads.start();
  const report: FaultReport = { runs: 0, acknowledged: 0, refused: {} };
  for (let call = fault.from; ; call += fault.step) {
    const order = fault.order.replace('N', String(call));
    const name = `run-${number}-${call}`;
    const dataDir = join(root, name);
    marks.say({ run: name });
    const staysFaulty = !order.endsWith('once');
    const parts = { plan: planOf(seed, rounds), marks, counts: report, staysFaulty, dies, threads };
    try {
      const run = new FaultRun(dataDir, parts);
      await run.start();
      marks.order(order);
      await run.doPlan();
      if (!(await run.end())) break;
    } catch (error) {
      throw new Error(`with ${order} of seed ${seed}`, { cause: error });
    }
    rmSync(dataDir, { recursive: true });
    report.runs += 1;
  }
  await threads.close();
  return report;
}
