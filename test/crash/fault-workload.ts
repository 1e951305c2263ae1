/**
 * A watched program: does a plan again and again, in a folder of its own each time, on a disk that
 * fails at another call each time. ROOT MARKS SETTINGS, which are JSON of `FaultSettings`; prints JSON
 * of `FaultReport`.
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
  /** An order of the shim with `N` where the number of the call stands. */
  fault: string;
  diskReserveBytes: number;
  /** The calls that fail: this one and then each so many further, until there is no such call. */
  from: number;
  step: number;
  /** The process kills itself as soon as a write has ended badly. */
  dies?: boolean;
}

export interface FaultReport extends FaultCounts {
  /** In which a call failed. */
  runs: number;
}

const [root = '', marksPath = '', settings = ''] = process.argv.slice(2);
const {
  seed,
  rounds,
  fault,
  from,
  step,
  dies = false,
  ...more
}: FaultSettings = JSON.parse(settings);
const marks = new Marks(marksPath);
const report: FaultReport = { runs: 0, acknowledged: 0, refused: {} };
const threads = new Threads(more);
await threads.start();
for (let call = from; await runOnce(call); call += step) report.runs += 1;
await threads.close();
process.stdout.write(JSON.stringify(report));

/** False when there was no such call any more. */
async function runOnce(call: number): Promise<boolean> {
  const name = `run-${call}`;
  const dataDir = join(root, name);
  const order = fault.replace('N', String(call));
  marks.say({ run: name });
  const plan = planOf(seed, rounds);
  const staysFaulty = !fault.endsWith('once');
  const run = new FaultRun(dataDir, { plan, marks, counts: report, staysFaulty, dies, threads });
  try {
    await run.start();
    marks.order(order);
    await run.doPlan();
    const wasReached = await run.end();
    rmSync(dataDir, { recursive: true });
    return wasReached;
  } catch (error) {
    throw new Error(`with ${order} of seed ${seed}`, { cause: error });
  }
}
